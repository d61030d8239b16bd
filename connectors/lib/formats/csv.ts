// CSV files: DuckDB takes the lines apart, types are inferred over the whole file or declared, values are converted exactly.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../../core/errors.ts";
import type { Column, ColumnType, Reject } from "../../batch.ts";
import { BATCH_ROWS, BatchBuilder } from "../batch-builder.ts";
import { appendValue, checkedJson, misfit, rawText } from "../rows.ts";
import { wholeCsv } from "./csv-as-it-is.ts";
import { firstRecord } from "./csv-header.ts";
import type { CsvDialect } from "./csv-scan.ts";
import { convertCsv, IGNORING } from "./csv-spill.ts";
import { guessTypes } from "./csv-types.ts";
import { sqlText, withEngine, type FileBatch, type FileRead } from "./engine.ts";
import { carryRows, nameRows, type ParquetColumns } from "./parquet-rows.ts";
import type { SharedFile } from "./shared-file.ts";

/** More lines than this that do not fit say that the file is read in the wrong way. */
const MOST_RAGGED = 10_000;
/** Also what is read at once: by default that is many times as much, which takes memory from what is made of it, and twice the time. */
const MOST_LINE_BYTES = 16 * 1024 * 1024;

interface CsvColumn {
  /** The reader's name of the column. */
  readonly field: string;
  readonly column: Column;
}

/** An unquoted empty field is NULL, a quoted one is the empty text. Ragged rows and values that are not of their column's type become rejects. */
export const readCsv = (read: FileRead, options: CsvDialect): AsyncGenerator<FileBatch> =>
  withEngine(read, "CSV", async function* (connection) {
    const { file, name, declared, known } = read;
    const first = await firstRecord(file, name, options.delimiter);
    if (first === undefined) {
      yield { batch: new BatchBuilder({ columns: declared ?? known }).take(null), rows: 0 };
      return;
    }
    const fields = first.fields.map((_, place) => `c${place}`);
    const reader = (onRagged: string, from = file): string => readerSql(from, fields, first.emptyLines, options, onRagged);
    const names = options.header ? distinctNames(first.fields) : fields.map((_, place) => declared?.[place]?.name ?? `column${place}`);
    const onRagged = `store_rejects = true, rejects_limit = ${MOST_RAGGED + 1}`;
    const csv = { ...read, fields, names, known, reader, onRagged };
    const guessed = declared === undefined ? await guessTypes(connection, reader(IGNORING), csv) : undefined;
    const whole =
      guessed !== undefined && first.emptyLines === 0 ? await wholeCsv(connection, csv, guessed, { dialect: options, read }) : undefined;
    if (whole !== undefined) {
      yield whole;
      return;
    }
    const found = declared === undefined ? await convertCsv(connection, csv, guessed) : undefined;
    if (found?.parquet !== undefined) {
      yield* converted(connection, found.parquet, { columns: found.columns, select: fields }, read);
      return;
    }
    const columns = declared ?? found?.columns ?? [];
    const picked = columns.map((column): CsvColumn => ({ column, field: fieldOf(column, names, read) }));
    const query = `select ${picked.map(({ field }) => field).join(", ")} from ${reader(onRagged)}`;
    yield* convert(connection, query, picked, read);
  });

/** The rows of a file that is Parquet by now, and at the end the lines that did not fit. */
async function* converted(
  connection: DuckDBConnection,
  file: SharedFile,
  shape: ParquetColumns,
  read: FileRead,
): AsyncGenerator<FileBatch> {
  await using parquet = file;
  const rejects = await raggedLines(connection, read.name);
  const query = `select ${shape.select.join(", ")} from read_parquet(${sqlText(parquet.path)})`;
  const batches = read.takesParquet ? nameRows(connection, parquet, shape, read) : carryRows(connection, query, shape.columns, read);
  let last: FileBatch | undefined;
  for await (const next of batches) {
    if (last !== undefined) yield last;
    last = next;
  }
  if (last !== undefined) yield { ...last, batch: { ...last.batch, ...(rejects.length === 0 ? {} : { rejects }) } };
}

/** Nothing is guessed: no line is taken for a comment or a preamble, and no dialect for another. */
const readerSql = (
  file: string,
  fields: readonly string[],
  emptyLines: number,
  { delimiter, header }: CsvDialect,
  onRagged: string,
): string => {
  const columns = fields.map((field) => `'${field}': 'VARCHAR'`).join(", ");
  return `read_csv(${sqlText(file)}, auto_detect = false, columns = {${columns}}, delim = ${sqlText(delimiter)}, quote = '"', escape = '"', header = ${header}, skip = ${emptyLines}, comment = '', compression = 'none', nullstr = '', allow_quoted_nulls = false, strict_mode = true, max_line_size = ${MOST_LINE_BYTES}, buffer_size = ${MOST_LINE_BYTES}, ${onRagged})`;
};

const distinctNames = (header: readonly string[]): readonly string[] => {
  const names = new Set<string>();
  for (const [place, given] of header.entries()) {
    const base = given === "" ? `column${place}` : given;
    let name = base;
    for (let count = 1; names.has(name); count += 1) name = `${base}_${count}`;
    names.add(name);
  }
  return [...names];
};

const fieldOf = ({ name: wanted }: Column, names: readonly string[], { name, declared }: FileRead): string => {
  const place = names.indexOf(wanted);
  if (place >= 0) return `c${place}`;
  throw new DownbeatError(
    "SOURCE_DATA_INVALID",
    `${name} has no column "${wanted}", which from.columns declares; it has ${names.slice(0, 50).join(", ")}`,
    { details: { declared: declared?.map((column) => column.name), found: names.slice(0, 50) } },
  );
};

async function* convert(
  connection: DuckDBConnection,
  query: string,
  columns: readonly CsvColumn[],
  { name, skipRows, signal, batchRows = BATCH_ROWS }: FileRead,
): AsyncGenerator<FileBatch> {
  const builder = new BatchBuilder({ columns: columns.map(({ column }) => column) });
  let rejects: Reject[] = [];
  let row = skipRows;
  const result = await connection.stream(skipRows === 0 ? query : `${query} offset ${skipRows}`);
  for (;;) {
    signal.throwIfAborted();
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const count = chunk.rowCount;
    const vectors = columns.map((_, place) => chunk.getColumnVector(place));
    for (let place = 0; place < count; place += 1) {
      row += 1;
      const values = vectors.map((vector) => vector.getItem(place) as string | null);
      const fault = appendTexts(builder, columns, values);
      if (fault === undefined) builder.endRow();
      else {
        builder.dropRow();
        const raw = rawText(Object.fromEntries(columns.map(({ column }, index) => [column.name, values[index]])));
        rejects.push({ where: `row ${row} of ${name}`, code: "SOURCE_DATA_INVALID", reason: fault, raw });
      }
      if (!builder.isFull && builder.rows < batchRows && rejects.length < MOST_RAGGED) continue;
      yield { batch: builder.take(null, { rejects }), rows: row };
      rejects = [];
    }
  }
  // Lines that do not fit are known once the whole file has been read.
  yield { batch: builder.take(null, { rejects: [...rejects, ...(await raggedLines(connection, name))] }), rows: row };
}

/** Writers that quote everything quote missing numbers too. */
export const isMissing = (text: unknown, { kind }: ColumnType): boolean => text === "" && kind !== "string" && kind !== "binary";

const appendTexts = (builder: BatchBuilder, columns: readonly CsvColumn[], values: readonly (string | null)[]): string | undefined => {
  for (const [place, { column }] of columns.entries()) {
    const target = builder.columns[place];
    const value = values[place] ?? null;
    if (target === undefined) continue;
    if (value === null || isMissing(value, column.type)) target.appendNull();
    else if (!appendValue(target, column.type, value, checkedJson)) return misfit(column.name, value, column.type);
  }
  return undefined;
};

const raggedLines = async (connection: DuckDBConnection, name: string): Promise<readonly Reject[]> => {
  const rows = (
    await connection.runAndReadAll(
      "select line, any_value(csv_line)[:65536] as raw, string_agg(error_message, '; ') as reason from reject_errors group by line order by line",
    )
  ).getRowObjectsJson();
  if (rows.length > MOST_RAGGED) {
    throw new DownbeatError(
      "SOURCE_FILE_BROKEN",
      `${name} is not a readable CSV file: more than ${MOST_RAGGED} of its lines do not fit its columns (the first: line ${String(rows[0]?.["line"])}: ${String(rows[0]?.["reason"])}); check from.delimiter and from.header`,
    );
  }
  return rows.map((row) => ({
    where: `line ${String(row["line"])} of ${name}`,
    code: "SOURCE_DATA_INVALID",
    reason: String(row["reason"] ?? "cannot be read").split("\n")[0] ?? "",
    raw: String(row["raw"] ?? ""),
  }));
};
