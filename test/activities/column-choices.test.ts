import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { choosingSource } from "../../activities/column-choices.ts";
import type { Batch, Column, ParquetRows } from "../../connectors/batch.ts";
import type { Source, StreamRequest } from "../../connectors/connector.ts";
import { fromRows, type Row, toRows } from "../../connectors/lib/rows.ts";
import type { ColumnChoices } from "../../core/definition-columns.ts";

const COLUMNS: readonly Column[] = [
  { name: "id", type: { kind: "int64" }, nullable: false },
  { name: "mail", type: { kind: "string" }, nullable: true },
  { name: "born", type: { kind: "date" }, nullable: true },
  { name: "note", type: { kind: "string" }, nullable: false },
  { name: "total", type: { kind: "decimal", precision: 10, scale: 2 }, nullable: true },
];

const ROWS: readonly Row[] = [
  { id: 1n, mail: "ann@example.org", born: "2001-02-03", note: "ü", total: "12.50" },
  { id: 2n, mail: null, born: null, note: "", total: null },
  { id: 2n ** 60n, mail: "ann@example.org", born: "1960-12-31", note: "x".repeat(100), total: "-0.01" },
];

const sourceOf = (...batches: readonly Batch[]): Source => ({
  discover: () => Promise.resolve([]),
  async *read() {
    yield* batches;
  },
});

const read = async (source: Source): Promise<readonly Batch[]> => {
  const batches: Batch[] = [];
  for await (const batch of source.read({ stream: "people" } as StreamRequest)) batches.push(batch);
  return batches;
};

const batchOf = (rows: readonly Row[] = ROWS): Batch => fromRows(COLUMNS, rows, { position: { after: 3 } });

const chosen = async (choices: ColumnChoices, key?: string): Promise<Batch> => {
  const [batch] = await read(choosingSource(sourceOf(batchOf()), choices, key));
  if (batch === undefined) throw new Error("there is no batch");
  return batch;
};

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

test("selected columns come in their order under their new names, with values, nulls and position as they were", async () => {
  const batch = await chosen({ select: ["total", "id"], rename: { total: "sum" } });
  expect(batch.schema.columns).toEqual([
    { ...COLUMNS[4], name: "sum" },
    { ...COLUMNS[0], name: "id" },
  ]);
  expect(toRows(batch)).toEqual([
    { sum: "12.50", id: 1 },
    { sum: null, id: 2 },
    { sum: "-0.01", id: String(2n ** 60n) },
  ]);
  expect(batch).toMatchObject({ rows: 3, position: { after: 3 }, bytes: 48 });
});

test("rows that are named stay so where columns are selected, renamed and redacted; hashes and casts want them in memory", async () => {
  const asked: unknown[] = [];
  const parquet: ParquetRows = {
    file: "f",
    from: 5,
    select: COLUMNS.map((_, place) => `s${place}`),
    confirm: () => Promise.resolve(),
    release: () => Promise.resolve(),
  };
  const source: Source = {
    discover: () => Promise.resolve([]),
    async *read({ takesParquet }) {
      asked.push(takesParquet);
      if (takesParquet === true) yield { schema: { columns: COLUMNS }, rows: 3, columns: [], bytes: 99, position: { after: 8 }, parquet };
      else yield batchOf();
    },
  };
  const first = async (choices: ColumnChoices): Promise<Batch> => {
    const request = { stream: "people", takesParquet: true } as StreamRequest;
    for await (const batch of choosingSource(source, choices).read(request)) return batch;
    throw new Error("there is no batch");
  };
  const named = await first({ select: ["total", "id"], rename: { total: "sum" }, redact: ["id"] });
  expect(named).toMatchObject({ rows: 3, position: { after: 8 }, parquet: { file: "f", from: 5, select: ["s4", "nullif(s0, s0)"] } });
  expect(named.schema.columns.map(({ name, nullable }) => [name, nullable])).toEqual([
    ["sum", true],
    ["id", true],
  ]);
  expect((await first({ hash: ["mail"] })).parquet).toBeUndefined();
  expect((await first({ cast: { note: "string" } })).parquet).toBeUndefined();
  expect(asked).toEqual([true, false, false]);
});

test("hashed values are the SHA-256 of their text, with a key its HMAC; NULL stays NULL", async () => {
  const rows = toRows(await chosen({ hash: ["mail", "born", "id"] }));
  expect(rows.map(({ mail }) => mail)).toEqual([sha256("ann@example.org"), null, sha256("ann@example.org")]);
  expect(rows.map(({ born }) => born)).toEqual([sha256("2001-02-03"), null, sha256("1960-12-31")]);
  expect(rows.map(({ id }) => id)).toEqual([sha256("1"), sha256("2"), sha256(String(2n ** 60n))]);
  expect(rows.map(({ note }) => note)).toEqual(ROWS.map(({ note }) => note));
  const keyed = createHmac("sha256", "a secret").update("ann@example.org").digest("hex");
  expect(toRows(await chosen({ hash: ["mail"] }, "a secret"))[0]).toMatchObject({ mail: keyed, id: 1 });
});

test("redacted columns are there, and NULL in each row, whatever their type", async () => {
  const batch = await chosen({ redact: ["id", "note", "born"] });
  expect(batch.schema.columns.map(({ name, nullable }) => [name, nullable])).toEqual(COLUMNS.map(({ name }) => [name, true]));
  for (const row of toRows(batch)) expect(row).toMatchObject({ id: null, note: null, born: null });
  expect(toRows(batch)[0]).toMatchObject({ mail: "ann@example.org", total: "12.50" });
});

test("cast columns have their new types; a row with a value that is none of them is a reject, and told without what is hidden", async () => {
  const rows: readonly Row[] = [
    { id: 1n, mail: "12", born: null, note: "2001-02-03", total: "12.50" },
    { id: 2n, mail: "a lot", born: null, note: "2001-02-03", total: "1.00" },
    { id: 3n, mail: null, born: null, note: "1960-12-31", total: "-7.00" },
  ];
  const choices: ColumnChoices = {
    omit: ["born"],
    rename: { mail: "count" },
    cast: { mail: "int32", note: "date", total: "decimal(5,1)" },
  };
  const [batch] = await read(choosingSource(sourceOf(batchOf(rows)), choices));
  expect(batch?.schema.columns).toEqual([
    COLUMNS[0],
    { name: "count", type: { kind: "int32" }, nullable: true },
    { name: "note", type: { kind: "date" }, nullable: false },
    { name: "total", type: { kind: "decimal", precision: 5, scale: 1 }, nullable: true },
  ]);
  expect(batch === undefined ? [] : toRows(batch)).toEqual([
    { id: 1, count: 12, note: "2001-02-03", total: "12.5" },
    { id: 3, count: null, note: "1960-12-31", total: "-7.0" },
  ]);
  expect(batch).toMatchObject({ rows: 2, position: { after: 3 } });
  expect(batch?.rejects).toMatchObject([{ where: "the row with mail a lot", raw: "" }]);
  const [open] = await read(choosingSource(sourceOf(batchOf(rows)), { cast: { mail: "int32" } }));
  expect(open?.rejects).toEqual([
    {
      where: "the row with mail a lot",
      code: "SOURCE_DATA_INVALID",
      reason: 'column "mail": a lot is not a int32',
      raw: '{"id":2,"mail":"a lot","born":null,"note":"2001-02-03","total":"1.00"}',
    },
  ]);
});

test("casts that no value could follow end the load before a row of it is written, all told at once", async () => {
  await expect(read(choosingSource(sourceOf(batchOf()), { cast: { born: "int64", total: "uuid", id: "string" } }))).rejects.toMatchObject({
    code: "SOURCE_OPTIONS_INVALID",
    message: 'columns of people: "born" is date and cannot be cast to int64; "total" is decimal(10,2) and cannot be cast to uuid',
  });
});

test("batches of one schema get one, so that a destination sees no change", async () => {
  const [first, second] = [batchOf(), batchOf()];
  const [left, right] = await read(choosingSource(sourceOf(first, { ...second, schema: first.schema }), { omit: ["note"] }));
  expect(right?.schema).toBe(left?.schema);
});

test("a name that the stream does not have ends the load before a row of it is written", async () => {
  await expect(read(choosingSource(sourceOf(batchOf()), { redact: ["mial"] }))).rejects.toMatchObject({
    code: "SOURCE_OPTIONS_INVALID",
    message: 'columns of people: there is no "mial"; there are "id", "mail", "born", "note", "total"',
  });
});

test("rows that cannot be read are told of without what they hold, where something is hidden", async () => {
  const broken = fromRows(COLUMNS, [{ ...ROWS[0], mail: "bob@example.org", total: "a lot" }], { position: null });
  expect(JSON.stringify(broken.rejects)).toContain("bob@example.org");
  const [hidden] = await read(choosingSource(sourceOf(broken), { redact: ["mail"] }));
  expect(hidden?.rejects).toMatchObject([{ where: "row 1", code: "SOURCE_DATA_INVALID", raw: "" }]);
  expect(JSON.stringify(hidden?.rejects)).not.toMatch(/bob|a lot/);
  // Its place may be told by a key.
  const placed = {
    ...broken,
    rejects: (broken.rejects ?? []).map((reject) => ({ ...reject, where: "the row with mail bob@example.org" })),
  };
  const cases: readonly (readonly [ColumnChoices, string])[] = [
    [{ hash: ["mail"] }, "a row"],
    [{ redact: ["note"] }, "the row with mail bob@example.org"],
  ];
  for (const [choices, where] of cases) {
    const [told] = await read(choosingSource(sourceOf(placed), choices));
    expect(told?.rejects).toMatchObject([{ where, raw: "" }]);
  }
  const [renamed] = await read(choosingSource(sourceOf(broken), { rename: { mail: "email" } }));
  expect(renamed?.rejects).toEqual(broken.rejects);
});

test("a stream without rows and columns passes", async () => {
  const [batch] = await read(choosingSource(sourceOf(fromRows([], [], { position: null })), { select: ["id"] }));
  expect(batch).toMatchObject({ rows: 0, columns: [] });
});
