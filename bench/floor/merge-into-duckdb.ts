// The floor of bench:merge: changed rows into a Parquet file, then those with their keys are deleted and all of them inserted, in one
// transaction. Usage: merge-into-duckdb.ts SOURCE_JSON DATABASE_FILE FOLDER; prints one JSON line. The source has the `condition` of what has changed.

import { unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { connectFloor, readFloor, type FloorSource } from "./mysql-rows.ts";
import { printMeasured } from "./measured.ts";
import { ParquetRows } from "./parquet-rows.ts";

const MOST_ROWS = 100_000;

const source = JSON.parse(process.argv[2] ?? "") as FloorSource & { readonly condition: string };
const [databaseFile = "", folder = ""] = process.argv.slice(3);

await printMeasured(async () => {
  const instance = await DuckDBInstance.create(databaseFile, { threads: "2" });
  const warehouse = await instance.connect();
  await warehouse.run("set preserve_insertion_order = false");
  const connection = await connectFloor(source);
  let changed: ParquetRows | undefined;
  const rows = await readFloor(
    connection,
    `select * from ${source.table} where ${source.condition}`,
    (columns) => {
      const taken = new ParquetRows(columns, MOST_ROWS);
      changed = taken;
      return (bytes, at) => taken.row(bytes, at);
    },
    () => undefined,
  );
  connection.destroy();
  const file = path.join(folder, "floor-changed.parquet");
  writeFileSync(file, Buffer.concat((changed as ParquetRows | undefined)?.file() ?? []));
  await warehouse.run("begin");
  await warehouse.run(`delete from orders where id in (select id from read_parquet('${file}'))`);
  await warehouse.run(`insert into orders select * from read_parquet('${file}')`);
  await warehouse.run("commit");
  await warehouse.run("checkpoint");
  unlinkSync(file);
  warehouse.closeSync();
  instance.closeSync();
  return rows;
});
