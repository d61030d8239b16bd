// A whole CSV file as Parquet, converted by DuckDB: many times as fast as value by value, where its conversions are exact.

import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../../core/errors.ts";
import type { Column, ColumnType } from "../../batch.ts";
import { DISK_FULL } from "../../duckdb/errors.ts";
import { type CsvFields, inferTypes, isOfKind } from "./csv-types.ts";
import { sqlText } from "./engine.ts";
import { SharedFile } from "./shared-file.ts";

export interface CsvFile extends CsvFields {
  /** For people. */
  readonly name: string;
  /** The relation of the file's lines as texts, with what is done about those that do not fit. `file`: where it lies under another name. */
  readonly reader: (onRagged: string, file?: string) => string;
  /** What its last reading does about them. */
  readonly onRagged: string;
  readonly tempDir: string;
}

export interface ConvertedCsv {
  readonly columns: readonly Column[];
  /** All rows, in the file's order, with the reader's names of the columns. Undefined: there is a type or a value that DuckDB's conversions do not cover. */
  readonly parquet?: SharedFile;
}

/** What the reader does about lines that do not fit while types are looked for: they are no rows. */
export const IGNORING = "ignore_errors = true";

/** What the error says of a value that is not of its column's type. */
const MISFIT = "downbeat: misfit";

/** Reads the file once if its types are as its beginning told (`guessed`), else twice or three times. */
export const convertCsv = async (
  connection: DuckDBConnection,
  csv: CsvFile,
  guessed: readonly Column[] | undefined,
): Promise<ConvertedCsv> => {
  const quick = guessed === undefined ? undefined : await spill(connection, guessed, csv);
  if (guessed !== undefined && quick !== undefined) return { columns: guessed, parquet: quick };
  const columns = await inferTypes(connection, csv.reader(IGNORING), csv);
  const parquet = await spill(connection, columns, csv);
  return { columns, ...(parquet === undefined ? {} : { parquet }) };
};

const spill = async (
  connection: DuckDBConnection,
  columns: readonly Column[],
  { name, fields, reader, onRagged, tempDir }: CsvFile,
): Promise<SharedFile | undefined> => {
  const values = columns.map(({ type }, place) => valueOf(type, fields[place] ?? ""));
  if (values.includes(undefined)) return undefined;
  const select = values.map((value, place) => `${value} as ${fields[place]}`).join(", ");
  const file = path.join(tempDir, `${randomUUID()}.parquet`);
  try {
    await connection.run(`copy (select ${select} from ${reader(onRagged)}) to ${sqlText(file)} (format parquet, compression uncompressed)`);
    return new SharedFile(file);
  } catch (error) {
    await rm(file, { force: true });
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes(MISFIT)) return undefined;
    if (!DISK_FULL.test(message)) throw error;
    throw new DownbeatError("DESTINATION_FULL", `the disk of the temporary folder is full (while converting ${name})`, { cause: error });
  }
};

/** A field's value as its type's, an error for one that is none; undefined: DuckDB has no conversion that is the same as ours. */
export const valueOf = (type: ColumnType, field: string): string | undefined => {
  if (type.kind === "string") return field;
  const found = CONVERSIONS[type.kind];
  if (found === undefined) return undefined;
  const value = `try_cast(${field} as ${found.sqlType})`;
  // An empty text stands for a value that is missing, as ever in such a column.
  const cases = [
    `when ${field} is null or ${field} = '' then null`,
    ...found.tests(field, value).map((test) => `when ${test} then ${value}`),
  ];
  return `case ${cases.join(" ")} else error('${MISFIT} ' || ${field}) end`;
};

/** Whether a field that is there has a value of a type for which there is a conversion. */
export const hasValueOf = ({ kind }: ColumnType, field: string): string => {
  const found = CONVERSIONS[kind];
  return found === undefined ? "false" : `(${found.tests(field, `try_cast(${field} as ${found.sqlType})`).join(" or ")})`;
};

interface Conversion {
  readonly sqlType: string;
  /** Any of them says that the field has exactly this value; the cheap ones for the usual ways to write it first. */
  readonly tests: (field: string, value: string) => readonly string[];
}

/** What is written as DuckDB would write it is read as it was meant. */
const isWrittenAs = (field: string, value: string): string => `cast(${value} as varchar) = ${field}`;

const CONVERSIONS: Partial<Readonly<Record<ColumnType["kind"], Conversion>>> = {
  int64: { sqlType: "bigint", tests: (field, value) => [isWrittenAs(field, value)] },
  float64: {
    sqlType: "double",
    // Fifteen digits are exact in any case.
    tests: (field) => [
      String.raw`strlen(${field}) <= 15 and regexp_full_match(${field}, '-?(0|[1-9][0-9]*)(\.[0-9]+)?')`,
      isOfKind(field, "whole", "fraction"),
    ],
  },
  bool: { sqlType: "boolean", tests: (field) => [isOfKind(field, "bool")] },
  date: { sqlType: "date", tests: (field, value) => [`strlen(${field}) = 10 and ${isWrittenAs(field, value)}`] },
  timestamp: {
    sqlType: "timestamp",
    tests: (field, value) => [`${field}[5] = '-' and ${isWrittenAs(field, value)}`, isOfKind(field, "timestamp")],
  },
  timestamptz: { sqlType: "timestamptz", tests: (field, value) => [`${value} is not null and (${isOfKind(field, "timestamptz")})`] },
};
