// A primary and its replica, servers of a test's own, which it may break and promote.

import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { expect, onTestFinished } from "vitest";
import { type MysqlAddress, startMysql } from "../../bin/services/mysql.ts";
import type { Service } from "../../bin/services/server-process.ts";
import type { Connector, StreamRequest } from "../../connectors/connector.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { mysql } from "../../connectors/mysql/spec.ts";
import type { Json } from "../../core/json.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { parseOptions, run } from "./mysql-kit.ts";
import { request } from "./sql-roles.ts";

const folder = testFolder("mysql-failover");
const DATABASE = "shop";

type Row = Readonly<Record<string, Json>>;
export type Server = Service<MysqlAddress>;

const [version] = await run("select version() as version");
/** MySQL comes in containers, which do not reach each other. */
export const canReplicate = /mariadb/i.test(String(version?.["version"]));

/** None of them is the one that an address of the user's names: they are killed. */
export const startServer = async (id: number): Promise<Server> => {
  const dir = path.join(folder, `server-${id}-${randomUUID()}`);
  mkdirSync(dir, { recursive: true });
  const settings = { "server-id": String(id), "innodb-buffer-pool-size": "64M", "log-slave-updates": "ON" };
  const server = await startMysql({ dir, say: () => undefined, settings, env: { ...process.env, DOWNBEAT_TEST_MYSQL_URL: "" } });
  onTestFinished(() => server.stop());
  return server;
};

/** Runs statements one after the other; answers the last one's rows, all values as text. */
export const on = async ({ address }: Server, ...statements: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]> => {
  const { host, port, user, password } = address;
  const connection = await createConnection({ host, port, user, password, charset: "utf8mb4" });
  try {
    await connection.query("set session time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'");
    let rows: unknown = [];
    for (const sql of statements) [rows] = await connection.query<RowDataPacket[]>({ sql, typeCast: (field) => field.string() });
    return rows as readonly Record<string, string>[];
  } finally {
    await connection.end();
  }
};

/** The second one is sent all that happens to the first one, and its log has other files and other offsets. */
export const startPair = async (ids: readonly [number, number]): Promise<readonly [Server, Server]> => {
  const primary = await startServer(ids[0]);
  const replica = await startServer(ids[1]);
  await on(
    replica,
    // Of its own domain, as a server's own work is that no other one has.
    "set session gtid_domain_id = 7",
    "create database noise",
    "flush binary logs",
    "create table noise.here (id int primary key)",
    "flush binary logs",
    "flush binary logs",
    "insert into noise.here values (1), (2)",
  );
  await on(primary, `create database ${DATABASE}`);
  await replicate(primary, replica);
  return [primary, replica];
};

export const replicate = async (from: Server, to: Server): Promise<void> => {
  const { host, port, user, password } = from.address;
  await on(
    to,
    `change master to master_host = '${host}', master_port = ${port}, master_user = '${user}', master_password = '${password}', master_use_gtid = slave_pos`,
    "start slave",
  );
};

const positionOf = async (server: Server, name: string): Promise<readonly string[]> => {
  const [row] = await on(server, `select @@global.${name} as gtids`);
  return row!["gtids"]!.split(",");
};

export const caughtUp = async (primary: Server, replica: Server): Promise<void> => {
  const there = await positionOf(primary, "gtid_binlog_pos");
  await expect.poll(() => positionOf(replica, "gtid_binlog_pos"), { timeout: 120_000 }).toEqual(expect.arrayContaining([...there]));
};

export const promote = (replica: Server): Promise<unknown> => on(replica, "stop slave", "reset slave all");

/** Small batches, so that a transaction has many. */
export const connectTo = ({ address: { host, port, user, password } }: Server): Promise<Connector> =>
  openConnector(mysql, { host, port, user, password, database: DATABASE }, { ...testContext(folder), batchRows: 2_000 });

export const changesOf = (stream: string, given: Partial<StreamRequest> = {}): StreamRequest =>
  request({ ...given, stream, options: parseOptions({ changes: true }) });

export const rowsOn = async (server: Server, stream: string): Promise<readonly Row[]> => {
  await using connector = await connectTo(server);
  const rows: Row[] = [];
  for await (const batch of connector.source!.read(request({ stream, options: parseOptions({}) }))) rows.push(...toRows(batch));
  return byId(rows);
};

const byId = (rows: readonly Row[]): readonly Row[] => rows.toSorted((left, right) => Number(left["id"]) - Number(right["id"]));

/** What a destination makes of a stream: rows and place are committed together, and what has no place yet is lost with its load. */
export class Copy {
  readonly rows = new Map<Json, Row>();
  /** Rows of changes that were committed. */
  changes = 0;
  position: Json = null;
  #bounds: Json = null;
  readonly #stream: string;

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Of a run that reads nothing yet: its bounds. */
  async begin(server: Server): Promise<void> {
    await using connector = await connectTo(server);
    this.#bounds = await connector.source!.bounds!(changesOf(this.#stream, { position: this.position, newRun: true }));
  }

  /** A run of its own, or with `resumes` the rest of the last one. `stop`: asked behind each batch with the number of changes that came; true ends it there. */
  async load(
    server: Server,
    options: { readonly resumes?: boolean; readonly stop?: (seen: number) => Promise<boolean> } = {},
  ): Promise<void> {
    if (options.resumes !== true) await this.begin(server);
    await using connector = await connectTo(server);
    const newRun = options.resumes !== true;
    const wanted = changesOf(this.#stream, { position: this.position, newRun });
    let open: (readonly [Row, boolean])[] = [];
    let seen = 0;
    for await (const batch of connector.source!.read({ ...wanted, bounds: this.#bounds })) {
      seen += batch.rows;
      open.push(...toRows(batch).map((row, place) => [row, batch.deleted?.[place] === 1] as const));
      if (batch.position !== null) {
        for (const [row, isDeleted] of open) {
          if (isDeleted) this.rows.delete(row["id"] ?? null);
          else this.rows.set(row["id"] ?? null, row);
        }
        this.changes += open.length;
        this.position = JSON.parse(JSON.stringify(batch.position)) as Json;
        open = [];
      }
      if ((await options.stop?.(seen)) === true) return;
    }
  }

  get all(): readonly Row[] {
    return byId([...this.rows.values()]);
  }
}
