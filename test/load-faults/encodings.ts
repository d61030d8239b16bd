// The events as the systems that hold them write them: CSV, JSON, Avro, SQL values.

import { deflateRawSync } from "node:zlib";
import { container, decimalBytes } from "../fixtures/avro.ts";
import { COLUMNS, COLUMN_NAMES, type ColumnName, type Event } from "./rows.ts";

const TEXTS: ReadonlySet<ColumnName> = new Set(["name", "note", "day", "at", "moment"]);

const csvField = (name: ColumnName, text: string | null): string => {
  if (text === null) return "";
  if (name === "moment") return `${text}Z`;
  return TEXTS.has(name) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A bad row has a quantity that is no number. */
export const csvOf = (events: readonly Event[]): string => {
  const line = ({ texts, isBad }: Event): string =>
    COLUMN_NAMES.map((name) => csvField(name, isBad && name === "quantity" ? "many" : texts[name])).join(",");
  return [COLUMN_NAMES.join(","), ...events.map(line), ""].join("\n");
};

/** Numbers keep all their digits. */
export const jsonOf = ({ texts }: Event): string => {
  const values = COLUMN_NAMES.map((name) => {
    const text = texts[name];
    if (text === null) return `"${name}":null`;
    const value = name === "moment" ? `${text}Z` : text;
    return `"${name}":${TEXTS.has(name) ? JSON.stringify(value) : value}`;
  });
  return `{${values.join(",")}}`;
};

/** A bad row is no JSON. */
export const jsonLineOf = (event: Event): string => (event.isBad ? `{"id": ${event.texts.id}, cut` : jsonOf(event));

const decimalOf = (precision: number, scale: number): object => ({ type: "bytes", logicalType: "decimal", precision, scale });
/** A quantity is a text, which the declared column makes a number of: so that it can be bad. */
const AVRO: Readonly<Record<ColumnName, unknown>> = {
  id: "long",
  version: "int",
  quantity: ["null", "string"],
  amount: ["null", decimalOf(18, 4)],
  total: decimalOf(30, 8),
  ratio: ["null", "double"],
  name: "string",
  note: ["null", "string"],
  active: ["null", "boolean"],
  day: ["null", { type: "int", logicalType: "date" }],
  at: { type: "long", logicalType: "local-timestamp-micros" },
  moment: ["null", { type: "long", logicalType: "timestamp-micros" }],
};

const unscaled = (text: string): Buffer => decimalBytes(BigInt(text.replace(".", "")), 16);
const microsOf = (text: string): bigint => BigInt(Date.parse(`${text.slice(0, 23).replace(" ", "T")}Z`)) * 1_000n + BigInt(text.slice(23));

/** The branch that is not null. */
const AVRO_VALUES: Readonly<Record<ColumnName, (text: string) => unknown>> = {
  id: BigInt,
  version: Number,
  quantity: (string) => ({ string }),
  amount: (text) => ({ bytes: unscaled(text) }),
  total: unscaled,
  ratio: (text) => ({ double: Number(text) }),
  name: String,
  note: (string) => ({ string }),
  active: (text) => ({ boolean: text === "true" }),
  day: (text) => ({ int: Date.parse(text) / 86_400_000 }),
  at: microsOf,
  moment: (text) => ({ long: microsOf(text) }),
};

const AVRO_BLOCK = 300;

export const avroOf = (events: readonly Event[]): Buffer => {
  const rows = events.map(({ texts, isBad }) =>
    Object.fromEntries(
      COLUMN_NAMES.map((name) => {
        const text = isBad && name === "quantity" ? "many" : texts[name];
        return [name, text === null ? null : AVRO_VALUES[name](text)];
      }),
    ),
  );
  const blocks = Array.from({ length: Math.ceil(rows.length / AVRO_BLOCK) }, (_, block) =>
    rows.slice(block * AVRO_BLOCK, (block + 1) * AVRO_BLOCK),
  );
  const schema = { type: "record", name: "Event", fields: COLUMN_NAMES.map((name) => ({ name, type: AVRO[name] })) };
  return container(schema, blocks, { codec: "deflate", pack: (plain) => deflateRawSync(plain) });
};

/** DuckDB's types are written as ours, but for these. */
const DUCKDB: Partial<Record<ColumnName, string>> = {
  id: "BIGINT",
  version: "INTEGER",
  quantity: "INTEGER",
  ratio: "DOUBLE",
  name: "VARCHAR",
  note: "VARCHAR",
  moment: "TIMESTAMP",
};

/** What selects the columns of a CSV file, exactly, without guesses. */
export const duckdbReader = (file: string): string => {
  const types = COLUMN_NAMES.map((name) => `'${name}': '${DUCKDB[name] ?? COLUMNS[name]}'`).join(", ");
  const columns = COLUMN_NAMES.map((name) => (name === "moment" ? "moment::timestamptz as moment" : `"${name}"`)).join(", ");
  return `select ${columns} from read_csv('${file.replaceAll("'", "''")}', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, columns = {${types}})`;
};
