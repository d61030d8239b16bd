// Columns of every logical type with rows at their extremes, for destinations and round trips.

import type { Column, ColumnType } from "../../connectors/batch.ts";
import type { Row } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";

interface Sample {
  readonly type: ColumnType;
  /** Values as given, each with what comes back where that is not the same. */
  readonly values: readonly (Json | readonly [given: unknown, read: Json])[];
}

const pair = (given: unknown, read: Json): readonly [unknown, Json] => [given, read];

export const SAMPLES = {
  bool: { type: { kind: "bool" }, values: [true, false] },
  int32: { type: { kind: "int32" }, values: [-2_147_483_648, 2_147_483_647] },
  int64: { type: { kind: "int64" }, values: ["-9223372036854775808", "9223372036854775807", 0] },
  uint64: { type: { kind: "uint64" }, values: ["18446744073709551615", 0] },
  float32: { type: { kind: "float32" }, values: [-3.4028234663852886e38, 1.401298464324817e-45, "NaN", "Infinity"] },
  float64: { type: { kind: "float64" }, values: [1.7976931348623157e308, 5e-324, "-Infinity", 0.1] },
  decimal: {
    type: { kind: "decimal", precision: 18, scale: 6 },
    values: ["-999999999999.999999", "999999999999.999999", "0.000001", "-0.100000", "0.000000"],
  },
  whole: { type: { kind: "decimal", precision: 18, scale: 0 }, values: ["-999999999999999999", "10000", "1"] },
  fraction: { type: { kind: "decimal", precision: 18, scale: 18 }, values: ["-0.999999999999999999", "0.000100000000000000"] },
  wide: {
    type: { kind: "decimal", precision: 38, scale: 10 },
    values: ["-9999999999999999999999999999.9999999999", "0.0000000001", "-1.0000000000", "12345678.9000000000"],
  },
  string: { type: { kind: "string" }, values: ["", " ", "NULL", "\\N", "Größe 表 🎼\t\r\n", "x".repeat(70_000)] },
  binary: {
    type: { kind: "binary" },
    values: [pair(Buffer.from([0, 255, 39, 92]), Buffer.from([0, 255, 39, 92]).toString("base64")), pair(Buffer.alloc(0), "")],
  },
  date: {
    type: { kind: "date" },
    values: ["1969-12-31", "0001-01-01", "9999-12-31", "2000-02-29", pair("+012345-06-07", "+012345-06-07")],
  },
  time: { type: { kind: "time" }, values: ["00:00:00", "23:59:59.999999"] },
  timestamp: {
    type: { kind: "timestamp" },
    values: ["1969-12-31T23:59:59.999999", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "1883-11-18T12:03:58.000001"],
  },
  timestamptz: {
    type: { kind: "timestamptz" },
    values: [
      "1970-01-01T00:00:00Z",
      pair("2026-03-29T02:30:00.000001+02:00", "2026-03-29T00:30:00.000001Z"),
      "9999-12-31T23:59:59.999999Z",
    ],
  },
  json: {
    type: { kind: "json" },
    values: [pair('{"a": [1, null, "\\u00fc"]}', { a: [1, null, "ü"] }), pair("null", null), pair('"text"', "text"), 0],
  },
  uuid: { type: { kind: "uuid" }, values: ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"] },
} as const satisfies Record<string, Sample>;

export type SampleName = keyof typeof SAMPLES;

/** Row 1 has NULL in every column but the id; the following rows have each column's values, as long as there are any. */
export const sampleTable = (
  leaveOut: readonly SampleName[] = [],
): { readonly columns: readonly Column[]; readonly rows: readonly Row[]; readonly read: readonly Record<string, Json>[] } => {
  const samples = (Object.entries(SAMPLES) as [SampleName, Sample][]).filter(([name]) => !leaveOut.includes(name));
  const longest = Math.max(...samples.map(([, { values }]) => values.length));
  const columns = [
    { name: "id", type: { kind: "int32" }, nullable: false } as const,
    ...samples.map(([name, { type }]) => ({ name: `c_${name}`, type, nullable: true })),
  ];
  const table = (side: 0 | 1): Record<string, Json>[] =>
    Array.from(
      { length: longest + 1 },
      (_, index) =>
        Object.fromEntries([
          ["id", index],
          ...samples.map(([name, { values }]) => {
            const value = values[index - 1];
            return [`c_${name}`, Array.isArray(value) ? (value[side] as Json) : ((value as Json | undefined) ?? null)];
          }),
        ]) as Record<string, Json>,
    );
  return { columns, rows: table(0), read: table(1) };
};
