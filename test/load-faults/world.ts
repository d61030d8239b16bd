// Everything that the matrix moves rows between, and lanes that play one case after the other beside each other.

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import path from "node:path";
import { type ServiceAddresses, startServices } from "../../bin/services/all.ts";
import { Attempts } from "./attempts.ts";
import { bigqueryDestination } from "./bigquery-destination.ts";
import type { Case, DestinationName, SourceName } from "./cases.ts";
import { duckdbPlace, type Place, postgresDestination } from "./destinations.ts";
import { changingMysql } from "./fill-changes.ts";
import { fillKafka, fillS3, serveHttp } from "./fill-streams.ts";
import { fillDuckdb, fillMysql, fillPostgres } from "./fill-tables.ts";
import { mysqlDestination } from "./mysql-destination.ts";
import { redshiftDestination } from "./redshift-destination.ts";
import { snowflakeDestination } from "./snowflake-destination.ts";
import type { PreparedSource } from "./sources.ts";
import { topicDestination } from "./topic-destination.ts";

export const SERVICES = ["mysql", "postgres", "s3", "kafka", "snowflake", "bigquery"] as const;

/** Python runs one thread at a time: lanes that share an emulator wait for each other. */
const EMULATORS = ["snowflake", "bigquery"] as const;

const need = <Value>(value: Value | undefined, name: string): Value => {
  if (value === undefined) throw new Error(`the matrix needs ${name}`);
  return value;
};

/** A name that no other run has on the same servers. */
const fresh = (): string => `faults_${randomBytes(4).toString("hex")}`;

/** Plays one case at a time, with processes, a warehouse database and a folder of its own. */
export interface Lane {
  readonly attempts: Attempts;
  /** A place that nothing was written to yet; its folder goes with the case. */
  readonly place: (destination: DestinationName) => { readonly folder: string; readonly key: string; readonly place: Place };
  readonly sourceFolder: string;
}

export class World {
  readonly sources: Readonly<Record<SourceName, PreparedSource>>;
  readonly #folder: string;
  readonly #addresses: ServiceAddresses;
  readonly #copySource: (folder: string) => Promise<void>;
  readonly #http: Server;
  readonly #closing: (() => Promise<void>)[] = [];
  #lanes = 0;

  private constructor(parts: {
    sources: Readonly<Record<SourceName, PreparedSource>>;
    folder: string;
    addresses: ServiceAddresses;
    copySource: (folder: string) => Promise<void>;
    http: Server;
  }) {
    this.sources = parts.sources;
    this.#folder = parts.folder;
    this.#addresses = parts.addresses;
    this.#copySource = parts.copySource;
    this.#http = parts.http;
  }

  /** Fills every source. The folder is the caller's to remove. */
  static async fill(folder: string, addresses: ServiceAddresses): Promise<World> {
    const name = fresh();
    const [mysql, postgres, duckdb, s3, kafka, http] = await Promise.all([
      fillMysql(need(addresses.mysql, "mysql"), name),
      fillPostgres(need(addresses.postgres, "postgres"), name),
      fillDuckdb(folder),
      fillS3(need(addresses.s3, "s3"), name.replaceAll("_", "-"), folder),
      fillKafka(need(addresses.kafka, "kafka"), name),
      serveHttp(),
    ]);
    const sources: Readonly<Record<SourceName, PreparedSource>> = {
      mysql: mysql.whole,
      "mysql-cursor": mysql.cursor,
      "mysql-changes": changingMysql(need(addresses.mysql, "mysql"), name),
      ...s3,
      kafka,
      http: http.source,
      "duckdb-table": duckdb.source,
      "postgres-table": postgres,
    };
    return new World({ sources, folder, addresses, copySource: duckdb.copyInto, http: http.server });
  }

  async lane(): Promise<Lane> {
    this.#lanes += 1;
    const folder = path.join(this.#folder, `lane-${this.#lanes}`);
    mkdirSync(folder, { recursive: true });
    await this.#copySource(folder);
    const postgres = await postgresDestination(need(this.#addresses.postgres, "postgres"), fresh());
    const mysql = await mysqlDestination(need(this.#addresses.mysql, "mysql"), fresh());
    const emulators = this.#lanes === 1 ? undefined : await startServices(EMULATORS, path.join(folder, "emulators"), () => undefined);
    const addresses = emulators?.addresses ?? this.#addresses;
    const snowflake = await snowflakeDestination(need(addresses.snowflake, "snowflake"), fresh());
    const bigquery = bigqueryDestination(need(addresses.bigquery, "bigquery"), fresh());
    const redshift = await redshiftDestination(need(this.#addresses.postgres, "postgres"), need(this.#addresses.s3, "s3"), fresh());
    const topics = topicDestination(need(this.#addresses.kafka, "kafka"));
    const attempts = new Attempts(path.join(this.#folder, "compiled"));
    this.#closing.push(async () => {
      attempts.close();
      await postgres[Symbol.asyncDispose]();
      await mysql[Symbol.asyncDispose]();
      await snowflake[Symbol.asyncDispose]();
      await redshift[Symbol.asyncDispose]();
      await topics[Symbol.asyncDispose]();
      await emulators?.stop();
    });
    let places = 0;
    return {
      attempts,
      sourceFolder: folder,
      place: (destination) => {
        places += 1;
        const own = path.join(folder, String(places));
        mkdirSync(own, { recursive: true });
        const table = `orders_${places}`;
        const makes: Readonly<Record<DestinationName, () => Place>> = {
          duckdb: () => duckdbPlace(own),
          postgres: () => postgres.place(table),
          "mysql-warehouse": () => mysql.place(table),
          snowflake: () => snowflake.place(table),
          bigquery: () => bigquery.place(table),
          redshift: () => redshift.place(table),
          "kafka-topic": () => topics.place(fresh()),
        };
        const place = makes[destination]();
        return {
          folder: own,
          key: `faults/load/${places}`,
          place: { ...place, clear: () => place.clear().then(() => rmSync(own, { recursive: true, force: true })) },
        };
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
    this.#http.closeAllConnections();
    this.#http.close();
  }
}

/** Cases of one group share what a load without kills has shown. */
export const groupOf = ({ source, destination, mode }: Case): string => `${source}/${destination}/${mode}`;
