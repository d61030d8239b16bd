// What the log says of a table ahead of its rows: names, types and key as they were then.
// https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html

import { lengthEncoded, WIRE } from "../column-definition.ts";
import type { LogEvent } from "./log-event.ts";

/** Types as the log has them: those of results, and some of its own. */
export const LOGGED = {
  ...WIRE,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  compressedBlob: 140,
  compressedVarchar: 141,
} as const;

export interface LoggedColumn {
  readonly name: string;
  /** One of `LOGGED`; enums and sets are told from strings already. */
  readonly type: number;
  /** Length in bytes, places, or precision and scale: depends on the type. */
  readonly meta: number;
  readonly isUnsigned: boolean;
  /** Number of the character set's collation; undefined where it has none. */
  readonly collation: number | undefined;
  /** Of an enum or a set. */
  readonly labels: readonly string[];
}

export interface LoggedTable {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly LoggedColumn[];
  /** Places of the primary key's columns; empty when there is none. */
  readonly key: readonly number[];
}

const METADATA = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  simpleKey: 8,
  keyWithPrefix: 9,
} as const;

/** 6 bytes. */
export const tableIdOf = ({ bytes, start }: LogEvent): number => bytes.readUIntLE(start, 6);

/** Which table it is, without what follows: most tables of a server are not asked for. */
export const tableNameOf = ({ bytes, start }: LogEvent): { readonly database: string; readonly table: string; readonly end: number } => {
  const database = start + 9;
  const table = database + bytes[start + 8]! + 2;
  const end = table + bytes[table - 1]! + 1;
  return { database: bytes.toString("utf8", database, table - 2), table: bytes.toString("utf8", table, end - 1), end };
};

interface RawColumn {
  readonly type: number;
  readonly meta: number;
}

export const parseTableMap = (event: LogEvent): LoggedTable => {
  const { bytes, end: eventEnd } = event;
  const { database, table, end } = tableNameOf(event);
  const { value: count, end: typesAt } = lengthEncoded(bytes, end);
  const { value: metaLength, end: metaAt } = lengthEncoded(bytes, typesAt + count);
  const columns = rawColumns(bytes, typesAt, count, metaAt);
  const optional = readOptional(bytes, metaAt + metaLength + ((count + 7) >> 3), eventEnd);

  const names = textsOf(optional.get(METADATA.columnName));
  const numeric = placesOf(columns, ({ type }) => NUMERIC.has(type));
  const textual = placesOf(columns, ({ type }) => TEXTUAL.has(type));
  const enums = placesOf(columns, ({ type }) => type === LOGGED.enum);
  const sets = placesOf(columns, ({ type }) => type === LOGGED.set);

  const signs = optional.get(METADATA.signedness);
  const unsigned = new Set(numeric.filter((_, index) => ((signs?.[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0));
  const collations = collationsOf(optional, textual);
  const labels = new Map([
    ...labelsOf(optional.get(METADATA.enumLabels)).map((list, index) => [enums[index], list] as const),
    ...labelsOf(optional.get(METADATA.setLabels)).map((list, index) => [sets[index], list] as const),
  ]);
  return {
    database,
    table,
    columns: columns.map(({ type, meta }, place) => ({
      name: names[place] ?? "",
      type,
      meta,
      isUnsigned: unsigned.has(place),
      collation: collations.get(place),
      labels: labels.get(place) ?? [],
    })),
    key: keyOf(optional),
  };
};

const NUMERIC: ReadonlySet<number> = new Set([
  LOGGED.tiny,
  LOGGED.short,
  LOGGED.int24,
  LOGGED.long,
  LOGGED.longlong,
  LOGGED.newdecimal,
  LOGGED.float,
  LOGGED.double,
]);
const TEXTUAL: ReadonlySet<number> = new Set([LOGGED.string, LOGGED.varString, LOGGED.varchar, LOGGED.blob]);

const placesOf = (columns: readonly RawColumn[], is: (column: RawColumn) => boolean): readonly number[] =>
  columns.flatMap((column, place) => (is(column) ? [place] : []));

const rawColumns = (bytes: Buffer, typesAt: number, count: number, metaAt: number): readonly RawColumn[] => {
  let at = metaAt;
  const columns: RawColumn[] = [];
  for (let place = 0; place < count; place += 1) {
    const type = bytes[typesAt + place]!;
    switch (type) {
      case LOGGED.float:
      case LOGGED.double:
      case LOGGED.blob:
      case LOGGED.geometry:
      case LOGGED.json:
      case LOGGED.vector:
      case LOGGED.compressedBlob:
      case LOGGED.timestamp2:
      case LOGGED.datetime2:
      case LOGGED.time2:
        columns.push({ type, meta: bytes[at++]! });
        break;
      case LOGGED.string:
        columns.push(stringColumn(bytes[at]!, bytes[at + 1]!));
        at += 2;
        break;
      case LOGGED.newdecimal:
        columns.push({ type, meta: (bytes[at]! << 8) | bytes[at + 1]! });
        at += 2;
        break;
      case LOGGED.bit:
        columns.push({ type, meta: bytes[at]! + bytes[at + 1]! * 8 });
        at += 2;
        break;
      case LOGGED.varchar:
      case LOGGED.varString:
      case LOGGED.compressedVarchar:
      case LOGGED.enum:
      case LOGGED.set:
        columns.push({ type, meta: bytes.readUInt16LE(at) });
        at += 2;
        break;
      default:
        columns.push({ type, meta: 0 });
    }
  }
  return columns;
};

/** Enums and sets come as strings with their own type in the first byte; two bits of a long length are folded into it. */
const stringColumn = (first: number, second: number): RawColumn => {
  if (first === LOGGED.enum || first === LOGGED.set) return { type: first, meta: second };
  if ((first & 0x30) === 0x30) return { type: LOGGED.string, meta: second };
  return { type: LOGGED.string, meta: second | (((first & 0x30) ^ 0x30) << 4) };
};

const readOptional = (bytes: Buffer, start: number, end: number): ReadonlyMap<number, Buffer> => {
  const found = new Map<number, Buffer>();
  for (let at = start; at < end; ) {
    const { value, end: from } = lengthEncoded(bytes, at + 1);
    found.set(bytes[at]!, bytes.subarray(from, from + value));
    at = from + value;
  }
  return found;
};

/** A list of length-encoded integers. */
const numbersOf = (bytes: Buffer | undefined): readonly number[] => {
  const found: number[] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const { value, end } = lengthEncoded(bytes, at);
    found.push(value);
    at = end;
  }
  return found;
};

const textsOf = (bytes: Buffer | undefined): readonly string[] => {
  const found: string[] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const { value, end } = lengthEncoded(bytes, at);
    found.push(bytes.toString("utf8", end, end + value));
    at = end + value;
  }
  return found;
};

const labelsOf = (bytes: Buffer | undefined): readonly (readonly string[])[] => {
  const found: string[][] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const { value: count, end } = lengthEncoded(bytes, at);
    at = end;
    const labels: string[] = [];
    for (let label = 0; label < count; label += 1) {
      const { value, end: from } = lengthEncoded(bytes, at);
      labels.push(bytes.toString("utf8", from, from + value));
      at = from + value;
    }
    found.push(labels);
  }
  return found;
};

/** Either one for most columns and those that differ, or one for each. */
const collationsOf = (optional: ReadonlyMap<number, Buffer>, textual: readonly number[]): ReadonlyMap<number, number> => {
  const each = optional.get(METADATA.columnCharset);
  if (each !== undefined) return new Map(numbersOf(each).map((collation, index) => [textual[index] ?? -1, collation]));
  const [common, ...others] = numbersOf(optional.get(METADATA.defaultCharset));
  if (common === undefined) return new Map();
  const found = new Map(textual.map((place) => [place, common]));
  for (let at = 0; at + 1 < others.length; at += 2) found.set(textual[others[at]!] ?? -1, others[at + 1]!);
  return found;
};

const keyOf = (optional: ReadonlyMap<number, Buffer>): readonly number[] => {
  const withPrefix = numbersOf(optional.get(METADATA.keyWithPrefix));
  return withPrefix.length > 0 ? withPrefix.filter((_, index) => index % 2 === 0) : numbersOf(optional.get(METADATA.simpleKey));
};
