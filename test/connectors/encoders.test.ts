// Batches as Parquet and as PostgreSQL's binary COPY: whatever rows go in come out again.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import { encodeParquet } from "../../connectors/lib/parquet-encoder.ts";
import { encodeCopy } from "../../connectors/lib/pg-copy-encoder.ts";
import { fromRows } from "../../connectors/lib/rows.ts";
import { testFolder } from "../contract/kit.ts";

const folder = testFolder("encoders");

const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 4 });
const text = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.constant("x".repeat(300)), fc.constant("y".repeat(40_000)));

describe("parquet", () => {
  it("gives back every row", async () => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const columns: readonly Column[] = [
      { name: "b", type: { kind: "bool" }, nullable: true },
      { name: "i", type: { kind: "int32" }, nullable: true },
      { name: "l", type: { kind: "int64" }, nullable: true },
      { name: "s", type: { kind: "string" }, nullable: true },
      { name: "e", type: { kind: "string" }, nullable: true },
    ];
    const row = fc.record({
      b: orNull(fc.boolean()),
      i: orNull(fc.integer()),
      l: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
      s: orNull(text),
      e: fc.constant(null),
    });
    let files = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 300 }), fc.integer({ min: 1, max: 8 }), async (some, times) => {
        // More rows than one block of packed lengths holds.
        const rows = Array.from({ length: times }, () => some).flat();
        fc.pre(rows.length > 0);
        const file = path.join(folder, `${(files += 1)}.parquet`);
        const parts = encodeParquet(
          fromRows(columns, rows, { position: null }),
          columns.map(({ name }, index) => ({ index, name })),
        );
        writeFileSync(file, Buffer.concat(parts));
        const read = await connection.runAndReadAll(`select * from read_parquet('${file}')`);
        expect(read.getRowObjectsJson()).toEqual(rows);
      }),
      { numRuns: 60 },
    );
    connection.closeSync();
    instance.closeSync();
  });
});

/** Reads what the server would: rows of fields, null or bytes. */
const copyRows = (parts: readonly Buffer[]): readonly (readonly (Buffer | null)[])[] => {
  const bytes = Buffer.concat(parts);
  expect(bytes.subarray(0, 11).toString("latin1")).toBe("PGCOPY\n\xff\r\n\0");
  const rows: (Buffer | null)[][] = [];
  let at = 19;
  for (;;) {
    const fields = bytes.readInt16BE(at);
    at += 2;
    if (fields === -1) break;
    const row: (Buffer | null)[] = [];
    for (let field = 0; field < fields; field += 1) {
      const length = bytes.readInt32BE(at);
      at += 4;
      row.push(length < 0 ? null : bytes.subarray(at, at + length));
      at += Math.max(0, length);
    }
    rows.push(row);
  }
  expect(at).toBe(bytes.length);
  return rows;
};

/** A binary numeric as text with its display scale. */
const numericText = (field: Buffer): string => {
  const count = field.readInt16BE(0);
  const weight = field.readInt16BE(2);
  const negative = field.readUInt16BE(4) === 0x4000;
  const scale = field.readInt16BE(6);
  let value = 0n;
  for (let digit = 0; digit < count; digit += 1) value = value * 10_000n + BigInt(field.readInt16BE(8 + digit * 2));
  const behind = (count - 1 - weight) * 4;
  const digits = value.toString().padStart(behind + 1, "0");
  const whole = digits.slice(0, digits.length - behind);
  const fraction = digits.slice(digits.length - behind).slice(0, scale);
  expect(digits.slice(digits.length - behind).slice(scale)).toMatch(/^0*$/);
  return `${negative && value !== 0n ? "-" : ""}${whole}${scale === 0 ? "" : `.${fraction}`}`;
};

describe("binary COPY", () => {
  const digits = (most: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^(0|[1-9]\\d{0,${most - 1}})$`));

  it("keeps every digit of decimals", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 60 })
          .chain((precision) =>
            fc
              .integer({ min: 0, max: precision })
              .chain((scale) =>
                fc.tuple(
                  fc.constant({ precision, scale }),
                  fc.array(fc.tuple(fc.boolean(), digits(precision), fc.boolean()), { minLength: 1, maxLength: 20 }),
                ),
              ),
          ),
        ([{ precision, scale }, values]) => {
          const rows = values.map(([negative, scaled, isNull]) => {
            const padded = scaled.padStart(scale + 1, "0");
            const unsigned = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
            const isZero = /^[0.]*$/.test(unsigned);
            return { n: isNull ? null : `${negative && !isZero ? "-" : ""}${unsigned}` };
          });
          const type = { kind: "decimal", precision, scale } as const;
          const batch = fromRows([{ name: "n", type, nullable: true }], rows, { position: null });
          expect(batch.rejects).toBeUndefined();
          const read = copyRows(
            Array.from(encodeCopy(batch, [{ index: 0, name: "n", type, isJsonb: false }]), (part) => Buffer.from(part)),
          );
          expect(read.map(([field]) => (field ? numericText(field) : null))).toEqual(rows.map(({ n }) => n));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps integers, texts and NULLs, over more rows than a block", () => {
    const columns: readonly Column[] = [
      { name: "u", type: { kind: "uint64" }, nullable: true },
      { name: "l", type: { kind: "int64" }, nullable: true },
      { name: "s", type: { kind: "string" }, nullable: true },
      { name: "j", type: { kind: "json" }, nullable: true },
      { name: "b", type: { kind: "bool" }, nullable: true },
    ];
    const row = fc.record({
      u: orNull(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)),
      l: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
      s: orNull(text.map((value) => value.replaceAll("\0", ""))),
      j: orNull(fc.json({ maxDepth: 1 })),
      b: orNull(fc.boolean()),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 50 }), fc.integer({ min: 1, max: 60 }), (some, times) => {
        const rows = Array.from({ length: times }, () => some).flat();
        const batch = fromRows(columns, rows, { position: null });
        const parts = encodeCopy(
          batch,
          columns.map(({ name, type }, index) => ({ index, name, type, isJsonb: name === "j" })),
        );
        const read = copyRows(Array.from(parts, (part) => Buffer.from(part)));
        const found = read.map(([u, l, s, j, b]) => ({
          u: u ? numericText(u) : null,
          l: l ? l.readBigInt64BE().toString() : null,
          s: s ? s.toString("utf8") : null,
          j: j ? j.subarray(1).toString("utf8") : null,
          b: b ? b[0] === 1 : null,
        }));
        expect(found).toEqual(rows);
      }),
      { numRuns: 60 },
    );
  });
});
