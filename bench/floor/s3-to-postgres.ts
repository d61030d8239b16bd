// The floor of bench:transfer from S3 into PostgreSQL. Usage: s3-to-postgres.ts SOURCE_JSON POSTGRES_URL; prints one JSON line.

import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { printMeasured } from "./measured.ts";
import { type FloorObjects, readStreams } from "./s3-objects.ts";

const objects = JSON.parse(process.argv[2] ?? "") as FloorObjects;
const url = process.argv[3] ?? "";

await printMeasured(async () => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    `create table orders_floor (id bigint, customer_id int, amount numeric(12, 2), sku text, note text, updated_at timestamp,
       order_date date, is_paid boolean, attrs text, score double precision)`,
  );
  let rows = 0;
  for await (const body of readStreams(objects)) {
    const copy = client.query(copyFrom("copy orders_floor from stdin (format csv, header)"));
    await pipeline(body, createGunzip(), copy);
    rows += copy.rowCount;
  }
  await client.end();
  return rows;
});
