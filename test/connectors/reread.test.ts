// Texts of dead letters, read again as files, messages and records would be today.

import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Batch, Column, ColumnType } from "../../connectors/batch.ts";
import type { DeadLetter } from "../../connectors/connector.ts";
import { kafkaSourceOptions } from "../../connectors/kafka/spec.ts";
import { rereadMessages } from "../../connectors/kafka/messages.ts";
import { readFile } from "../../connectors/lib/formats/read-file.ts";
import { rereadFile } from "../../connectors/lib/formats/reread-file.ts";
import { toRows } from "../../connectors/lib/rows.ts";

const lettersOf = (...raws: readonly string[]): readonly DeadLetter[] =>
  raws.map((raw, index) => ({ id: `id-${index}`, place: `line ${index + 1}`, raw }));

const columnsOf = (types: Readonly<Record<string, ColumnType["kind"]>>): readonly Column[] =>
  Object.entries(types).map(([name, kind]) => ({ name, type: { kind } as ColumnType, nullable: true }));

/** Which letter stays, and why. */
const stays = ({ rejects = [] }: Batch): readonly string[] => rejects.map(({ letter, where, reason }) => `${letter} ${where}: ${reason}`);

describe("dead letters of JSON Lines", () => {
  it("are read with the columns that are declared now", () => {
    const raws = ['{"id":9007199254740993,"total":"1.50"}', '{"id":2,"total":"x"}', "{broken", "[1]"];
    const batch = rereadFile(lettersOf(...raws), {
      name: "a/*.jsonl.gz",
      declared: columnsOf({ id: "int64", total: "float64" }),
      known: [],
    });
    expect(toRows(batch)).toEqual([{ id: "9007199254740993", total: 1.5 }]);
    expect(stays(batch)).toEqual([
      expect.stringMatching(/^id-2 line 3: is not valid JSON/),
      "id-3 line 4: is not a JSON object",
      'id-1 line 2: column "total": x is not a float64',
    ]);
    expect(batch.rejects?.map(({ raw }) => raw)).toEqual([raws[2], raws[3], raws[1]]);
  });

  it("tell their columns where none are declared, and widen those that are known", () => {
    const known = columnsOf({ id: "int64" });
    const batch = rereadFile(lettersOf('{"id":"a","more":true}'), { name: "x", format: "jsonl", declared: undefined, known });
    expect(batch.schema.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual(["id string", "more bool"]);
    expect(stays(batch)).toEqual([]);
  });
});

describe("dead letters of CSV files", () => {
  const declared = columnsOf({ id: "int64", name: "string", data: "json" });

  it("have texts in their fields: an empty one is a missing number, and JSON is JSON", () => {
    const raws = ['{"id":"","name":"","data":"{\\"a\\":1}","more":"x"}', '{"id":"7","name":null,"data":"{"}', "1;ragged;line"];
    const batch = rereadFile(lettersOf(...raws), { name: "a.csv", declared, known: [] });
    expect(toRows(batch)).toEqual([{ id: null, name: "", data: { a: 1 } }]);
    expect(stays(batch)).toEqual([expect.stringMatching(/^id-2 .* not valid JSON/), 'id-1 line 2: column "data": { is not a json']);
  });

  it("are what the reader of files leaves", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "downbeat-reread-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const source = path.join(folder, "a.csv");
    await writeFile(source, 'id,name\n1,a\n5000000000,"b ""c"", d"\n5000000001,\n5000000002,""\n');
    const standard = { file: source, name: "a.csv", delimiter: ",", header: true, known: [], skipRows: 0, tempDir: folder };
    const letters: DeadLetter[] = [];
    const columns = columnsOf({ id: "int32", name: "string" });
    for await (const { batch } of readFile({ ...standard, columns, signal: new AbortController().signal }))
      letters.push(...(batch.rejects ?? []).map(({ where, raw }) => ({ id: where, place: where, raw })));
    const batch = rereadFile(letters, { name: "*.csv", declared: columnsOf({ id: "int64", name: "string" }), known: [] });
    expect(toRows(batch)).toEqual([
      { id: 5_000_000_000, name: 'b "c", d' },
      { id: 5_000_000_001, name: null },
      { id: 5_000_000_002, name: "" },
    ]);
  });

  it("stay where a column was not read then", () => {
    const batch = rereadFile(lettersOf('{"id":"1","name":"a"}'), { name: "a.csv", declared, known: [] });
    expect(stays(batch)).toEqual([`id-0 line 1: column "data" is not in the dead letter's text`]);
  });

  it("need declared columns", () => {
    expect(() => rereadFile([], { name: "a.csv", declared: undefined, known: [] })).toThrow("need from.columns");
  });
});

describe("dead letters of Kafka messages", () => {
  const read = (raw: string, given: object): Batch => rereadMessages(lettersOf(raw), kafkaSourceOptions.parse(given), []);
  const row = '{"id":"1","_kafka_partition":3,"_kafka_offset":17,"_kafka_timestamp":1767225600000000,"_kafka_key":null}';

  it("come with their metadata where they were kept with it", () => {
    expect(toRows(read(row, { metadata: true, columns: { id: "int64" } }))).toEqual([
      { id: 1, _kafka_partition: 3, _kafka_offset: 17, _kafka_timestamp: "2026-01-01T00:00:00Z", _kafka_key: null },
    ]);
    expect(stays(read('{"id":1}', { metadata: true }))).toEqual(['id-0 line 1: column "_kafka_partition" must not be NULL']);
  });

  it("come without it where it is not asked for", () => {
    expect(toRows(read(row, { metadata: false }))).toEqual([{ id: "1" }]);
  });

  it("are refused in other formats", () => {
    expect(() => read("x", { format: "binary" })).toThrow("only those of json");
  });
});
