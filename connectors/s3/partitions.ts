// The rows of a batch by partition, and the folders of partitions as Hive names them: "country=DE/day=2026-11-28/".

import { DownbeatError } from "../../core/errors.ts";
import type { Batch, ColumnType } from "../batch.ts";
import { pickRows } from "../lib/pick-rows.ts";
import { readerOf, typeName } from "../lib/rows.ts";

export interface Partition {
  /** Under the table's folder; "" where nothing partitions it. */
  readonly folder: string;
  readonly batch: Batch;
}

/** Hive's word for NULL and the empty text. */
const NO_VALUE = "__HIVE_DEFAULT_PARTITION__";

/** Types whose texts are the same for everyone. */
const KINDS: ReadonlySet<ColumnType["kind"]> = new Set(["string", "int32", "int64", "uint64", "bool", "date"]);

/** What Hive encodes: FileUtils.escapePathName; and NUL. */
// oxlint-disable-next-line no-control-regex
const ESCAPED = /[\u0000-\u001F\u007F"#%'*/:=?\\{[\]^]/g;

const escapeName = (text: string): string =>
  text.replace(ESCAPED, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

/** The rows keep their order, and their columns. */
export const partitionsOf = (batch: Batch, by: readonly string[]): readonly Partition[] => {
  if (by.length === 0) return [{ folder: "", batch }];
  const segments = by.map((name) => segmentsOf(batch, name));
  const rows = new Map<string, number[]>();
  for (let row = 0; row < batch.rows; row += 1) {
    const folder = segments.map((segmentOf) => segmentOf(row)).join("");
    const found = rows.get(folder);
    if (found === undefined) rows.set(folder, [row]);
    else found.push(row);
  }
  return [...rows].map(([folder, picked]) => ({ folder, batch: rows.size === 1 ? batch : pickRows(batch, picked) }));
};

const segmentsOf = ({ schema, columns }: Batch, name: string): ((row: number) => string) => {
  const place = schema.columns.findIndex((column) => column.name === name);
  const type = schema.columns[place]?.type;
  if (type === undefined) {
    const names = schema.columns.map((column) => column.name).slice(0, 50);
    throw new DownbeatError(
      "DESTINATION_SCHEMA_MISMATCH",
      `to.partition_by names "${name}", and there is no such column: ${names.join(", ")}`,
    );
  }
  if (!KINDS.has(type.kind))
    throw new DownbeatError(
      "DESTINATION_TYPE_UNSUPPORTED",
      `to.partition_by: column "${name}" is a ${typeName(type)}; partitions are named by ${[...KINDS].join(", ")}`,
    );
  const read = readerOf(type, columns[place]);
  const known = new Map<unknown, string>();
  return (row) => {
    const value = read(row);
    const segment = known.get(value) ?? `${escapeName(name)}=${value === null || value === "" ? NO_VALUE : escapeName(String(value))}/`;
    known.set(value, segment);
    return segment;
  };
};
