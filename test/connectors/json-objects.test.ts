// JSON texts as columns: the same batches, rejects and columns as by parsing every text, whatever is in them.

import { describe, expect, test } from "vitest";
import type { Batch, Column, ColumnType } from "../../connectors/batch.ts";
import { inferColumns } from "../../connectors/lib/infer.ts";
import { JsonObjects } from "../../connectors/lib/json-objects.ts";
import { parseObject } from "../../connectors/lib/json-text.ts";
import { fromRows, type Row, toRows } from "../../connectors/lib/rows.ts";

const column = (name: string, type: ColumnType, nullable = true): Column => ({ name, type, nullable });

/** What the batch says, whichever arrays hold it. */
const told = (batch: Batch) => ({
  columns: batch.schema.columns,
  rows: toRows(batch),
  rejects: (batch.rejects ?? []).map(({ where, reason }) => `${where}: ${reason}`).toSorted(),
});

const fast = (batches: readonly (readonly string[])[], declared: readonly Column[] | undefined) => {
  const objects = new JsonObjects({ declared, known: [], where: (index) => `text ${index}` });
  return batches.map((texts) => {
    for (const text of texts) objects.add(Buffer.from(text));
    return told(objects.take(null));
  });
};

/** The definition: parse all, infer from all of a batch, then take what fits. */
const plain = (batches: readonly (readonly string[])[], declared: readonly Column[] | undefined) => {
  let columns = declared ?? [];
  return batches.map((texts) => {
    const rows: Row[] = [];
    const places: number[] = [];
    const rejects: { where: string; code: "SOURCE_DATA_INVALID"; reason: string; raw: string }[] = [];
    for (const [index, text] of texts.entries()) {
      const parsed = parseObject(text);
      if (typeof parsed === "string") rejects.push({ where: `text ${index}`, code: "SOURCE_DATA_INVALID", reason: parsed, raw: text });
      else {
        rows.push(parsed);
        places.push(index);
      }
    }
    if (declared === undefined) columns = inferColumns(rows, columns);
    return told(fromRows(columns, rows, { position: null, rejects, areParsedJson: true, where: (index) => `text ${places[index]}` }));
  });
};

const VALUES = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-0.0",
  "7",
  "-12",
  "2147483647",
  "2147483648",
  "-2147483648",
  "4294967296",
  "-4294967297",
  "123456789012345",
  "-999999999999999",
  "9007199254740991",
  "9007199254740993",
  "9223372036854775807",
  "9223372036854775808",
  "123456789012345678901234567890",
  "1.5",
  "1.50",
  "-0.001",
  "72954.27",
  "0.1",
  "0.30000000000000004",
  "1234567.12345678",
  "12345678901234.5",
  "0.123456789012345678",
  "1.0",
  "1e3",
  "1E-7",
  "-2.5e+10",
  "1e400",
  "01",
  "1.",
  ".5",
  "-",
  "+1",
  "1a",
  "nul",
  "True",
  '""',
  '"plain"',
  '"naïve café 東京 🎈"',
  '"line\\nfeed\\ttab \\"quoted\\" back\\\\slash \\/ \\b\\f\\r"',
  '"\\u00e9\\ud83c\\udf88"',
  '"\\ud83c"',
  '"\\x"',
  '"control \u0001"',
  '"escaped\\n control \u0001"',
  '"open',
  '"2024-02-29"',
  '"2024-02-30"',
  '"2024-01-02 03:04:05.678901"',
  '"2024-01-02T03:04:05+02:00"',
  '"12:34:56"',
  '"12.50"',
  '"42"',
  '"yes"',
  '"AAEC"',
  '"6F9619FF-8B86-D011-B42D-00C04FC964FF"',
  "{}",
  "[]",
  '{"b": 1.0, "a": [1, "]}\\"", {"c": 9007199254740993}], "a": 2}',
  "[1, 2",
  '{"a": 1,}',
  "[1 2]",
];

const TYPES: readonly ColumnType[] = [
  { kind: "bool" },
  { kind: "int32" },
  { kind: "int64" },
  { kind: "uint64" },
  { kind: "float32" },
  { kind: "float64" },
  { kind: "decimal", precision: 4, scale: 2 },
  { kind: "decimal", precision: 18, scale: 3 },
  { kind: "decimal", precision: 38, scale: 10 },
  { kind: "string" },
  { kind: "binary" },
  { kind: "date" },
  { kind: "time" },
  { kind: "timestamp" },
  { kind: "timestamptz" },
  { kind: "json" },
  { kind: "uuid" },
];

/** Numbers that look drawn and are the same each time (a linear congruence, Numerical Recipes). */
const drawn = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

describe("values", () => {
  test.each(TYPES)("of a declared $kind: each is taken, or refused, as by parsing", (type) => {
    for (const nullable of [true, false]) {
      const declared = [column("before", { kind: "int64" }), column("value", type, nullable)];
      const texts = VALUES.map((value, index) => `{"before": ${index}, "value": ${value}}`);
      expect(fast([texts], declared)).toEqual(plain([texts], declared));
    }
  });

  test("of columns that nobody has declared: two of any kind, in both orders, in one batch and in two", () => {
    for (const first of VALUES) {
      for (const second of VALUES) {
        const [one, other] = [`{"value": ${first}}`, `{"value": ${second}}`];
        for (const batches of [[[one, other]], [[one], [other, one]]]) expect(fast(batches, undefined)).toEqual(plain(batches, undefined));
      }
    }
  });
});

describe("texts", () => {
  test.each([
    "",
    " ",
    "{}",
    " {\t} \r\n",
    "{",
    "}",
    "{}}",
    "{} {}",
    "[]",
    "null",
    "7",
    '"text"',
    '\uFEFF{"a": 1}',
    '{"a": 1, "a": 2}',
    '{"a": 1, "b": 2, "a": null}',
    '{ "b" : 2 , "a" : 1 }',
    '{"a": 1 "b": 2}',
    '{"a": 1,, "b": 2}',
    '{"a": 1, }',
    '{"a" 1}',
    '{"\\u0061": 1}',
    '{"": 1}',
    '{"a": 1, "c": "unknown \\" text", "d": {"e": [1]}, "b": 2}',
    '{"a": 1, "c": "\\x"}',
    '{"a": 1, "c": {"e": [1}}',
    '{"a": 1, "c": }',
    '{"a": 1, "c"',
    '{"__proto__": 1, "constructor": 2, "toString": null}',
    '{"a":1,"b":2]',
    '{"naïve": 1}',
    '{"a":[1,2]}',
    '{"a":1\u00a0}',
  ])("%s", (text) => {
    const around = ['{"a": 1, "b": 2}', text, '{"b": 4, "a": 3}'];
    for (const declared of [undefined, [column("a", { kind: "int64" }), column("b", { kind: "float64" }, false)]]) {
      expect(fast([around], declared)).toEqual(plain([around], declared));
      expect(fast([[text], around], declared)).toEqual(plain([[text], around], declared));
    }
  });

  test("that are no UTF-8 have no row, and their neighbours theirs", () => {
    const objects = new JsonObjects({ declared: undefined, known: [], where: (index) => `text ${index}` });
    objects.add(Buffer.from('{"a": "é"}', "utf8"));
    objects.add(Buffer.from('{"a": "é"}', "latin1"));
    objects.refuse("is too long", "{");
    objects.add(Buffer.from('{"a": "è"}', "utf8"));
    const { rows, rejects } = told(objects.take(null));
    expect(rows).toEqual([{ a: "é" }, { a: "è" }]);
    expect(rejects).toEqual(["text 1: is not UTF-8", "text 2: is too long"]);
  });

  test.each([undefined, [column("a", { kind: "json" })]])("that are nested beyond reason are refused, each by itself (%j)", (declared) => {
    const deep = `{"a": ${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    const objects = new JsonObjects({ declared, known: [], where: (index) => `text ${index}` });
    for (const text of ['{"a": [1]}', deep, '{"a": [2]}']) objects.add(Buffer.from(text));
    const batch = objects.take(null);
    expect(told(batch)).toMatchObject({ rows: [{ a: [1] }, { a: [2] }], rejects: ["text 1: is nested too deeply"] });
    expect(batch.rejects?.[0]?.raw).toBe(deep);
  });

  test("whose columns other files have shown: whole numbers widen, whichever way they are read", () => {
    const kindWith = (...texts: readonly string[]) => {
      const objects = new JsonObjects({ declared: undefined, known: [column("a", { kind: "int32" })], where: String });
      for (const text of texts) objects.add(Buffer.from(text));
      return told(objects.take(null));
    };
    expect(kindWith('{"a": 1}')).toEqual({ columns: [column("a", { kind: "int64" })], rows: [{ a: 1 }], rejects: [] });
    expect(kindWith('{"a": 1, "a": 2}', '{"a": 1.5}')).toMatchObject({
      columns: [{ type: { kind: "float64" } }],
      rows: [{ a: 2 }, { a: 1.5 }],
    });
  });

  test("of many kinds, over many batches: the same as by parsing", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const draw = drawn(seed);
      const pick = <Item>(items: readonly Item[]): Item => items[draw(items.length)]!;
      const names = ["a", "b", "long name", "é", "c"];
      const text = (): string =>
        `{${names
          .filter(() => draw(4) > 0)
          .map((name) => `"${name}"${pick(["", " "])}:${pick([" ", ""])}${draw(6) === 0 ? pick(VALUES) : pick(VALUES.slice(0, 14))}`)
          .join(pick([",", ", ", " ,"]))}}`;
      const batches = Array.from({ length: 3 }, () => Array.from({ length: 60 }, text));
      const declared = draw(2) === 0 ? undefined : names.slice(0, 4).map((name) => column(name, pick(TYPES), draw(3) > 0));
      expect(fast(batches, declared), `seed ${seed}`).toEqual(plain(batches, declared));
    }
  });

  test("columns that change late in a long batch change for all of it, and stay the same object while nothing does", () => {
    const texts = Array.from({ length: 5_000 }, (_, index) => (index === 3_100 ? '{"a": 1.5, "b": "new"}' : `{"a": ${index}}`));
    const objects = new JsonObjects({ declared: undefined, known: [], where: String });
    const batches = [texts, texts].map((given) => {
      for (const text of given) objects.add(Buffer.from(text));
      return objects.take(null);
    });
    expect(batches.map(told)).toEqual(plain([texts, texts], undefined));
    expect(batches[1]?.schema).toBe(batches[0]?.schema);
  });

  test("what comes with each text lies behind its columns, and before its keys of the same name", () => {
    const beside = [column("place", { kind: "int64" }, false), column("key", { kind: "string" })];
    const objects = new JsonObjects({ declared: undefined, known: [], beside, where: (index) => `text ${index}` });
    objects.add(Buffer.from('{"a": 1, "key": "its own"}'), { place: 1n, key: "k" });
    objects.add(Buffer.from('{"a": 2}'), { place: 2n, key: null });
    objects.add(Buffer.from('{"a": 3}'), { key: "placeless" });
    const { columns, rows, rejects } = told(objects.take(null));
    expect(columns.map(({ name }) => name)).toEqual(["a", "place", "key"]);
    expect(rows).toEqual([
      { a: 1, place: 1, key: "k" },
      { a: 2, place: 2, key: null },
    ]);
    expect(rejects).toEqual(['text 2: column "place" must not be NULL']);
  });
});
