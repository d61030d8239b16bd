// The floor of bench:transfer from S3 into DuckDB. Usage: s3-to-duckdb.ts SOURCE_JSON DATABASE_FILE FOLDER; prints one JSON line.

import { DuckDBInstance } from "@duckdb/node-api";
import { printMeasured } from "./measured.ts";
import { ORDERS_COLUMNS } from "./orders-table.ts";
import { fetchFiles, type FloorObjects } from "./s3-objects.ts";

const objects = JSON.parse(process.argv[2] ?? "") as FloorObjects;
const [databaseFile = "", folder = ""] = process.argv.slice(3);

const relationOf = (file: string): string =>
  objects.format === "parquet"
    ? `read_parquet('${file}')`
    : `read_csv('${file}', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, compression = 'gzip', columns = ${ORDERS_COLUMNS})`;

await printMeasured(async () => {
  const instance = await DuckDBInstance.create(databaseFile, { threads: "2" });
  const warehouse = await instance.connect();
  await warehouse.run("set preserve_insertion_order = false");
  let rows = 0;
  for await (const file of fetchFiles(objects, folder)) {
    if (rows === 0) await warehouse.run(`create table orders as select * from ${relationOf(file)} limit 0`);
    rows += (await warehouse.run(`insert into orders select * from ${relationOf(file)}`)).rowsChanged;
  }
  await warehouse.run("checkpoint");
  warehouse.closeSync();
  instance.closeSync();
  return rows;
});
