// Parquet files, read by an embedded DuckDB. They carry their own types.

import { DownbeatError } from "../../../core/errors.ts";
import { describeQuery } from "../duckdb-decode.ts";
import { quoteIdentifier } from "../load/names.ts";
import { sqlText, withEngine, type FileBatch, type FileRead } from "./engine.ts";
import { canNameRows, carryRows, nameRows } from "./parquet-rows.ts";
import { linkedFile } from "./shared-file.ts";

export const readParquet = (read: FileRead): AsyncGenerator<FileBatch> =>
  withEngine(read, "Parquet", async function* (connection) {
    const { file, name, declared } = read;
    if (declared !== undefined)
      throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${name}: Parquet files carry their own types; leave from.columns out`);
    const { columns, select, selectFrom } = await describeQuery(connection, `select * from read_parquet(${sqlText(file)})`);
    const names = columns.map((column) => column.name);
    const own = read.takesParquet && read.isCopy && canNameRows(names) ? await linkedFile(read, "parquet") : undefined;
    if (own !== undefined) {
      await using shared = own;
      yield* nameRows(connection, shared, { columns, select: selectFrom(names.map(quoteIdentifier)) }, read);
      return;
    }
    yield* carryRows(connection, select, columns, read);
  });
