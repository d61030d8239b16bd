// Batches grow value by value: nothing of a column is lost where its arrays give way to larger ones.

import { describe, expect, it } from "vitest";
import { layoutOf, type ColumnType } from "../../connectors/batch.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";

const VALUES: readonly (readonly [ColumnType, unknown])[] = [
  [{ kind: "bool" }, true],
  [{ kind: "int32" }, -7],
  [{ kind: "int64" }, -7],
  [{ kind: "float64" }, 0.5],
  [{ kind: "decimal", precision: 12, scale: 2 }, "-7.25"],
  [{ kind: "string" }, "Grüße"],
];

describe("a batch that outgrows its arrays several times", () => {
  it.each(VALUES)("keeps every value of %o", (type, value) => {
    const columns = [{ name: "value", type, nullable: true }];
    // Every third one is missing, so that nulls grow too; where arrays end, values are there.
    const rows = Array.from({ length: 9_000 }, (_, row) => ({ value: row % 3 === 2 ? null : value }));
    const ends = [1_024, 2_048, 4_096, 8_192];
    expect(ends.filter((row) => row % 3 !== 2).length).toBeGreaterThan(1);
    const batch = fromRows(columns, rows, { position: null });
    expect(batch.columns[0]?.layout).toBe(layoutOf(type));
    expect([...toRows(batch)]).toEqual(rows);
  });
});
