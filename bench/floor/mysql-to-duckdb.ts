// The floor of bench:transfer into DuckDB. Usage: mysql-to-duckdb.ts SOURCE_JSON DATABASE_FILE FOLDER; prints one JSON line.

import { closeSync, openSync, unlinkSync, writevSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { connectFloor, readFloor, type FloorSource } from "./mysql-rows.ts";
import { printMeasured } from "./measured.ts";
import { ParquetRows } from "./parquet-rows.ts";

const CHUNK_ROWS = 200_000;
/** What one read may bring on top of a full chunk. */
const SLACK = 20_000;

const source = JSON.parse(process.argv[2] ?? "") as FloorSource;
const [databaseFile = "", folder = ""] = process.argv.slice(3);

await printMeasured(async () => {
  const instance = await DuckDBInstance.create(databaseFile, { threads: "2" });
  const warehouse = await instance.connect();
  await warehouse.run("set preserve_insertion_order = false");
  const connection = await connectFloor(source);

  let chunk: ParquetRows | undefined;
  let files = 0;
  let loading: Promise<void> | undefined;

  const flush = (full: ParquetRows): Promise<void> | undefined => {
    const file = path.join(folder, `floor-${files}.parquet`);
    const descriptor = openSync(file, "w");
    writevSync(descriptor, full.file() as Uint8Array[]);
    closeSync(descriptor);
    full.clear();
    const verb = files === 0 ? "create table orders as" : "insert into orders";
    files += 1;
    const before = loading;
    loading = (async () => {
      await before;
      await warehouse.run(`${verb} select * from read_parquet('${file}')`);
      unlinkSync(file);
    })();
    return before;
  };

  const rows = await readFloor(
    connection,
    `select * from ${source.table}`,
    (columns) => {
      const rowsOfChunk = new ParquetRows(columns, CHUNK_ROWS + SLACK);
      chunk = rowsOfChunk;
      return (bytes, at) => rowsOfChunk.row(bytes, at);
    },
    () => (chunk !== undefined && chunk.rows >= CHUNK_ROWS ? flush(chunk) : undefined),
  );
  if (chunk !== undefined && chunk.rows > 0) void flush(chunk);
  await loading;
  await warehouse.run("checkpoint");
  warehouse.closeSync();
  instance.closeSync();
  connection.destroy();
  return rows;
});
