// A CSV file as one batch for destinations that read CSV themselves: named as it is, after each of its values was found to be what its column says.

import { stat } from "node:fs/promises";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Column, ColumnType } from "../../batch.ts";
import { type CsvDialect, scanCsv } from "./csv-scan.ts";
import { type CsvFile, hasValueOf, IGNORING, valueOf } from "./csv-spill.ts";
import type { FileBatch, FileRead } from "./engine.ts";
import { MOST_BYTES, MOST_ROWS } from "./parquet-rows.ts";
import { linkedFile } from "./shared-file.ts";

/** Undefined: it is to be converted, since readers might take it apart in other ways or find other values in it, or since it is large. */
export const wholeCsv = async (
  connection: DuckDBConnection,
  csv: CsvFile,
  columns: readonly Column[],
  { dialect, read }: { readonly dialect: CsvDialect; readonly read: FileRead },
): Promise<FileBatch | undefined> => {
  if (!read.takesCsv || !read.isCopy || read.skipRows > 0) return undefined;
  const { size } = await stat(read.file);
  if (size > MOST_BYTES) return undefined;
  const select = columns.flatMap(({ type }, place) => valueOf(type, csv.fields[place] ?? "") ?? []);
  if (select.length !== columns.length) return undefined;
  const rows = await scanCsv(read.file, columns.length, dialect, read.signal);
  if (rows === undefined || rows === 0 || rows > (read.batchRows ?? MOST_ROWS)) return undefined;
  if (!(await areAllFitting(connection, csv.reader(IGNORING), columns, { fields: csv.fields, rows }))) return undefined;
  const shared = await linkedFile(read, "csv");
  if (shared === undefined) return undefined;
  await using own = shared;
  const named = { ...dialect, file: own.path, relation: csv.reader("ignore_errors = false", own.path), select, release: own.hold() };
  return { batch: { schema: { columns }, rows, columns: [], bytes: size, position: null, csv: named }, rows };
};

/** Whether so many rows are there, and all their values are of their columns' types. Texts are read too: they must be UTF-8. */
const areAllFitting = async (
  connection: DuckDBConnection,
  relation: string,
  columns: readonly Column[],
  { fields, rows }: { readonly fields: readonly string[]; readonly rows: number },
): Promise<boolean> => {
  const counts = columns.map(({ type }, place) => {
    const field = fields[place] ?? "";
    if (type.kind === "string") return `count(coalesce(${field}, ''))`;
    const conditions = [hasValueOf(type, field), ...(STRICTER[type.kind]?.(field) ?? [])].join(" and ");
    // By cases, which are looked at one after the other: of conditions that are joined by AND each one is worked out for every row.
    return `count(case when ${field} is null then 1 when ${field} = '' then null when ${conditions} then 1 end)`;
  });
  const found = await connection.runAndReadAll(`select ${counts.join(", ")} from ${relation}`);
  return (found.getRowsJson()[0] ?? []).every((count) => Number(count) === rows);
};

/** A year 0 is none to other readers, and a fraction that is nearly 0 may be too small for them. */
const hasYear = (field: string): readonly string[] => [`${field} >= '0001'`];
const STRICTER: Partial<Readonly<Record<ColumnType["kind"], (field: string) => readonly string[]>>> = {
  date: hasYear,
  timestamp: hasYear,
  timestamptz: hasYear,
  float64: (field) => [String.raw`(abs(try_cast(${field} as double)) > 1e-300 or regexp_full_match(${field}, '-?0(\.0+)?'))`],
};
