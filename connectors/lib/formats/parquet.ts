// Parquet files, read by an embedded DuckDB. They carry their own types.

import { DownbeatError } from "../../../core/errors.ts";
import { describeQuery, readResult } from "../duckdb-decode.ts";
import { sqlText, withEngine, type FileBatch, type FileRead } from "./engine.ts";

export const readParquet = (read: FileRead): AsyncGenerator<FileBatch> =>
  withEngine(read, "Parquet", async function* (connection) {
    const { file, name, declared, skipRows } = read;
    if (declared !== undefined)
      throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${name}: Parquet files carry their own types; leave from.columns out`);
    const { columns, select } = await describeQuery(connection, `select * from read_parquet(${sqlText(file)})`);
    let rows = skipRows;
    const result = await connection.stream(skipRows === 0 ? select : `${select} offset ${skipRows}`);
    for await (const batch of readResult(result, columns, read)) {
      rows += batch.rows;
      yield { batch, rows };
    }
  });
