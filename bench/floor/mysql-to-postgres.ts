// The floor of bench:transfer into PostgreSQL. Usage: mysql-to-postgres.ts SOURCE_JSON POSTGRES_URL; prints one JSON line.

import { once } from "node:events";
import { from as copyFrom } from "pg-copy-streams";
import { CopyRows } from "./copy-rows.ts";
import { printMeasured } from "./measured.ts";
import { connectWithTable } from "./orders-table.ts";
import { connectFloor, readFloor, type FloorSource } from "./mysql-rows.ts";

const BUFFER = 1 << 20;
const WRITE_FROM = 262_144;

const source = JSON.parse(process.argv[2] ?? "") as FloorSource;
const url = process.argv[3] ?? "";

await printMeasured(async () => {
  const client = await connectWithTable(url, "json");
  const out = client.query(copyFrom("copy orders_floor from stdin (format binary)"));
  const connection = await connectFloor(source);
  let copy: CopyRows | undefined;
  const rows = await readFloor(
    connection,
    `select * from ${source.table}`,
    (columns) => {
      const rowsOut = new CopyRows(columns, BUFFER);
      copy = rowsOut;
      return (bytes, at, end) => rowsOut.row(bytes, at, end);
    },
    () => (copy !== undefined && copy.used > WRITE_FROM && !out.write(copy.take()) ? once(out, "drain") : undefined),
  );
  copy?.trailer();
  out.end(copy?.take());
  await once(out, "finish");
  await client.end();
  connection.destroy();
  return rows;
});
