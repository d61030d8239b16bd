// How each logical type travels: as what in the Parquet file and the upload table, and by which expression from there into the target's column.
// Times go as plain integers, and every cast is an exact one or refuses.

import { type ColumnType, layoutOf } from "../batch.ts";
import type { InsertColumn } from "../lib/load/session.ts";

export interface UploadColumn {
  /** Place in the batch. */
  readonly index: number;
  /** In the target. */
  readonly name: string;
  /** What the file says it is. */
  readonly fileType: ColumnType;
  /** Of the upload table. */
  readonly uploaded: { readonly type: string; readonly precision?: string; readonly scale?: string };
  readonly value: (column: string) => string;
}

type Way = Omit<UploadColumn, "index" | "name">;

const same = (column: string): string => column;

const wayOf = (type: ColumnType, base: string): Way => {
  switch (type.kind) {
    case "bool":
      return { fileType: type, uploaded: { type: "BOOLEAN" }, value: same };
    case "int32":
    case "int64":
      return { fileType: type, uploaded: { type: "INTEGER" }, value: same };
    case "uint64":
      // The same 64 bits with a sign.
      return {
        fileType: { kind: "int64" },
        uploaded: { type: "INTEGER" },
        value: (column) => `cast(${column} as numeric) + if(${column} < 0, numeric '18446744073709551616', numeric '0')`,
      };
    case "float32":
    case "float64":
      return { fileType: type, uploaded: { type: "FLOAT" }, value: same };
    case "decimal": {
      const [precision, scale] = [String(type.precision), String(type.scale)];
      const isNarrow = type.precision - type.scale <= 29 && type.scale <= 9;
      const uploaded = layoutOf(type) === "text" ? { type: "STRING" } : { type: isNarrow ? "NUMERIC" : "BIGNUMERIC", precision, scale };
      const into = base === "NUMERIC" || (base !== "BIGNUMERIC" && isNarrow) ? "numeric" : "bignumeric";
      return { fileType: type, uploaded, value: (column) => `cast(${column} as ${into})` };
    }
    case "string":
    case "uuid":
      return { fileType: type, uploaded: { type: "STRING" }, value: same };
    case "json":
      return {
        fileType: type,
        uploaded: { type: "STRING" },
        // It refuses numbers that JSON there cannot hold.
        value: base === "JSON" ? (column) => `parse_json(${column}, wide_number_mode => 'exact')` : same,
      };
    case "binary":
      return { fileType: type, uploaded: { type: "BYTES" }, value: same };
    case "date":
      return { fileType: { kind: "int32" }, uploaded: { type: "INTEGER" }, value: (column) => `date_from_unix_date(${column})` };
    case "time":
      return {
        fileType: { kind: "int64" },
        uploaded: { type: "INTEGER" },
        value: (column) => `time_add(time '00:00:00', interval ${column} microsecond)`,
      };
    case "timestamp":
      return { fileType: { kind: "int64" }, uploaded: { type: "INTEGER" }, value: (column) => `datetime(timestamp_micros(${column}))` };
    case "timestamptz":
      return { fileType: { kind: "int64" }, uploaded: { type: "INTEGER" }, value: (column) => `timestamp_micros(${column})` };
  }
};

const TEXTS: ReadonlySet<ColumnType["kind"]> = new Set(["string", "uuid", "json"]);

export const uploadColumn = ({ index, name, type, sqlType }: InsertColumn): UploadColumn => {
  const base = sqlType.replace(/\(.*/, "");
  const way = wayOf(type, base);
  if (base !== "STRING" || TEXTS.has(type.kind)) return { index, name, ...way };
  return { index, name, ...way, value: (column) => `cast(${way.value(column)} as string)` };
};
