// The double of Redshift as what loads write into: a table a case, in a database and a bucket of the lane's own.

import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";
import type { PostgresAddress } from "../../bin/services/postgres.ts";
import type { S3Address } from "../../bin/services/s3.ts";
import { startRedshiftDouble } from "../fixtures/redshift-double.ts";
import { keepFolder, redshiftConfig } from "../fixtures/redshift.ts";
import { atOneMoment, blockedInPostgres, createPostgresDatabase, type Place, POSTGRES_LINE, type Query, sightOf } from "./destinations.ts";

const STAGING = "select relname as name from pg_class where relkind = 'r' and relpersistence = 'p' and relname like '\\_downbeat\\_%'";

export interface RedshiftDestination extends AsyncDisposable {
  /** A table of this name. */
  readonly place: (name: string) => Place;
}

const makeBucket = async ({ endpoint, region, accessKeyId, secretAccessKey }: S3Address, Bucket: string): Promise<void> => {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  try {
    await client.send(new CreateBucketCommand({ Bucket }));
  } finally {
    client.destroy();
  }
};

export const redshiftDestination = async (server: PostgresAddress, s3: S3Address, database: string): Promise<RedshiftDestination> => {
  await createPostgresDatabase(server, database);
  const bucket = database.replaceAll("_", "-");
  await makeBucket(s3, bucket);
  await keepFolder(s3, bucket, "loads");
  const address = { ...server, database };
  const double = await startRedshiftDouble(address, s3);
  const { host, port, user, password } = server;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  // The double's database takes backslashes for escapes.
  await client.query("set standard_conforming_strings = on");
  const query: Query = async (sql) => (await client.query<Record<string, unknown>>(sql)).rows;
  const config = redshiftConfig(address, double.port, s3, bucket);
  return {
    place: (name) => ({
      kind: "redshift",
      config,
      table: name,
      look: (key) =>
        atOneMoment(query, "begin isolation level repeatable read read only", () =>
          sightOf(query, key, { name: `public.${name}`, line: POSTGRES_LINE }, STAGING),
        ),
      isBlocked: () => blockedInPostgres(query),
      clear: async () => void (await query(`drop table if exists ${name}`)),
    }),
    async [Symbol.asyncDispose]() {
      await client.end();
      await double[Symbol.asyncDispose]();
    },
  };
};
