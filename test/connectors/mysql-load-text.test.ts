// Values as MySQL's LOAD DATA reads them: at the edges where the writing takes another way, and what the format itself would take for something else.

import { describe, expect, it } from "vitest";
import type { ColumnType } from "../../connectors/batch.ts";
import { fromRows } from "../../connectors/lib/rows.ts";
import { encodeRows } from "../../connectors/lib/text-rows.ts";
import { FILE_STYLE } from "../../connectors/mysql/bulk-load.ts";
import { hasCode } from "../contract/sql-roles.ts";

const encoded = (type: ColumnType, values: readonly unknown[], pieceBytes = 64): string => {
  const batch = fromRows(
    [{ name: "v", type, nullable: true }],
    values.map((v) => ({ v })),
    { position: null },
  );
  expect(batch.rejects).toBeUndefined();
  const pieces = [...encodeRows(batch, [{ index: 0, name: "v", type, sqlType: "" }], FILE_STYLE, pieceBytes)];
  for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(pieceBytes);
  return Buffer.concat(pieces).toString("utf8");
};
const lines = (type: ColumnType, values: readonly unknown[]): readonly string[] => encoded(type, values).split("\n").slice(0, -1);

const around = (exponent: bigint): readonly bigint[] => [-1n, 0n, 1n].flatMap((by) => [2n ** exponent + by, -(2n ** exponent) + by]);

describe("MySQL's load text", () => {
  it("writes integers of every size digit by digit", () => {
    const values = [0n, 9n, 10n, -1n, 99n, 100n, ...[31n, 32n, 52n, 53n, 54n, 62n].flatMap(around), 2n ** 63n - 1n, -(2n ** 63n)];
    expect(lines({ kind: "int64" }, values)).toEqual(values.map(String));
    const unsigned = [...values.filter((value) => value >= 0n), 2n ** 63n, 2n ** 64n - 1n];
    expect(lines({ kind: "uint64" }, unsigned)).toEqual(unsigned.map(String));
    expect(lines({ kind: "int32" }, [-(2 ** 31), 2 ** 31 - 1, 0, -10])).toEqual(["-2147483648", "2147483647", "0", "-10"]);
    expect(lines({ kind: "bool" }, [true, false, null])).toEqual(["1", "0", "\\N"]);
  });

  it("writes times before 1970, and on both sides of the last that a double holds", () => {
    const values = ["0001-01-01 00:00:00.000000", "1684-07-28 00:12:25.259007", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000000"];
    const far = ["2255-06-05 23:47:34.740991", "2255-06-05 23:47:34.740993", "9999-12-31 23:59:59.999999"];
    for (const kind of ["timestamp", "timestamptz"] as const) expect(lines({ kind }, [...values, ...far])).toEqual([...values, ...far]);
    expect(lines({ kind: "date" }, ["0001-01-01", "2000-02-29", "9999-12-31"])).toEqual(["0001-01-01", "2000-02-29", "9999-12-31"]);
    expect(lines({ kind: "time" }, ["-838:59:59", "00:00:00.000001"])).toEqual(["-838:59:59", "00:00:00.000001"]);
    for (const [kind, value] of [
      ["date", "0000-12-31"],
      ["date", "+010000-01-01"],
      ["timestamp", "+010000-01-01T00:00:00"],
    ] as const) {
      expect(() => encoded({ kind }, [null, value])).toThrow(
        expect.toSatisfy(hasCode("DESTINATION_DATA_REFUSED", '"v"', "row 2")) as Error,
      );
    }
  });

  it("writes numbers so that they are read back as they were", () => {
    const doubles = [0.1, -0, 5e-324, 1.7976931348623157e308, 1e21, 123456789012345680000];
    expect(lines({ kind: "float64" }, doubles).map(Number)).toEqual(doubles);
    const floats = [0.1, 1.401298464324817e-45, -3.4028234663852886e38].map(Math.fround);
    expect(lines({ kind: "float32" }, floats).map(Number)).toEqual(floats);
    expect(lines({ kind: "decimal", precision: 18, scale: 6 }, ["-0.000001", "999999999999.999999", "7"])).toEqual([
      "-0.000001",
      "999999999999.999999",
      "7.000000",
    ]);
    expect(() => encoded({ kind: "float64" }, ["NaN"])).toThrow(/NaN is no number/);
  });

  it("escapes what would end a field or a line, and nothing of NULL's looks", () => {
    const texts = ["a\tb", "a\nb", "\\", "\\N", "NULL", "", "ä🎼", "x".repeat(200)];
    expect(encoded({ kind: "string" }, [...texts, null])).toBe(
      ["a\\\tb", "a\\\nb", "\\\\", "\\\\N", "NULL", "", "ä🎼", "x".repeat(200), "\\N", ""].join("\n"),
    );
    expect(lines({ kind: "binary" }, [Buffer.from([0, 255, 9, 10]), Buffer.alloc(0)])).toEqual(["00ff090a", ""]);
  });
});
