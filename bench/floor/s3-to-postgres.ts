// The floor of bench:transfer from S3 into PostgreSQL. Usage: s3-to-postgres.ts SOURCE_JSON POSTGRES_URL; prints one JSON line.

import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { from as copyFrom } from "pg-copy-streams";
import { printMeasured } from "./measured.ts";
import { connectWithTable } from "./orders-table.ts";
import { type FloorObjects, readStreams } from "./s3-objects.ts";

const objects = JSON.parse(process.argv[2] ?? "") as FloorObjects;
const url = process.argv[3] ?? "";

await printMeasured(async () => {
  const client = await connectWithTable(url, "text");
  let rows = 0;
  for await (const body of readStreams(objects)) {
    const copy = client.query(copyFrom("copy orders_floor from stdin (format csv, header)"));
    await pipeline(body, createGunzip(), copy);
    rows += copy.rowCount;
  }
  await client.end();
  return rows;
});
