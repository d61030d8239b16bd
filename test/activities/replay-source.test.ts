// Dead letters as a source: which are tried, what is said of the others, and where a later attempt goes on.

import { describe, expect, it } from "vitest";
import { choosingSource } from "../../activities/column-choices.ts";
import { type Replay, replaySource, untriedAt } from "../../activities/replay-source.ts";
import type { Batch, Position } from "../../connectors/batch.ts";
import type { DeadLetter, Destination, Source, StreamRequest } from "../../connectors/connector.ts";
import { rereadFile } from "../../connectors/lib/formats/reread-file.ts";
import { toRows } from "../../connectors/lib/rows.ts";

const unused = (): Promise<never> => Promise.reject(new Error("not called"));

const reader: Source = {
  discover: unused,
  read: () => {
    throw new Error("the stream itself is not read");
  },
  reread: (letters, { stream, known }) => rereadFile(letters, { name: stream, declared: undefined, known }),
};

const letter = (id: string, raw: string, given: Partial<DeadLetter> = {}): DeadLetter => ({
  id,
  place: `line ${id}`,
  raw,
  load: { table: "orders", mode: "append" },
  ...given,
});

const { load: _, ...forgotten } = letter("d", '{"id":4}');
const PAGES = [
  [letter("a", '{"id":1}'), letter("b", "broken"), letter("c", "")],
  [forgotten, letter("e", `{"text":"${"x".repeat(65_536)}`), letter("f", '{"name":"M\u{fffd}ller"}')],
  [
    letter("g", '{"id":"late"}'),
    letter("h", "{}", { load: { table: "orders", mode: "replace" } }),
    letter("i", "{}", { load: { table: "other", mode: "append" } }),
  ],
];

const destinationOf = (pages: readonly (readonly DeadLetter[])[]): Destination => ({
  describeTarget: unused,
  openLoad: unused,
  async *readLetters(key, after) {
    await Promise.resolve();
    expect(key).toBe("shop/orders/orders.jsonl");
    for (const page of pages) {
      const rest = page.filter(({ id }) => id > after);
      if (rest.length > 0) yield rest;
    }
  },
});

const sourceOf = (given: Partial<Replay> = {}): Source =>
  replaySource({
    key: "shop/orders/orders.jsonl",
    source: reader,
    destination: destinationOf(PAGES),
    target: { table: "orders", mode: "append" },
    ...given,
  });

const read = async (source: Source, position: Position | null = null): Promise<readonly Batch[]> => {
  const request: StreamRequest = {
    stream: "orders.jsonl",
    options: {},
    nullCursor: "fail",
    newRun: position === null,
    position,
    bounds: null,
    seen: unused,
  };
  const batches: Batch[] = [];
  for await (const batch of source.read(request)) batches.push(batch);
  return batches;
};

describe("dead letters as a source", () => {
  it("gives a page's rows with the letters that they replace, the others with the newer reason, and counts what it did not try", async () => {
    const batches = await read(sourceOf());
    expect(batches.map((batch) => ({ rows: toRows(batch), letters: batch.letters }))).toEqual([
      { rows: [{ id: 1 }], letters: ["a"] },
      { rows: [], letters: [] },
      { rows: [{ id: "late" }], letters: ["g"] },
    ]);
    expect(batches[0]?.rejects).toEqual([
      expect.objectContaining({ letter: "b", where: "line b", raw: "broken", reason: expect.stringContaining("not valid JSON") as string }),
    ]);
    expect(batches.map(({ position }) => untriedAt(position ?? null))).toEqual([
      { other_load: 0, no_text: 1, cut: 0, altered: 0 },
      { other_load: 1, no_text: 1, cut: 1, altered: 1 },
      { other_load: 3, no_text: 1, cut: 1, altered: 1 },
    ]);
  });

  it("goes on behind what was committed, and so does the count", async () => {
    const [first] = await read(sourceOf());
    const rest = await read(sourceOf(), first?.position ?? null);
    expect(rest.map(({ letters }) => letters)).toEqual([[], ["g"]]);
    expect(untriedAt(rest.at(-1)?.position ?? null)).toEqual({ other_load: 3, no_text: 1, cut: 1, altered: 1 });
  });

  it("of which there are none gives one empty batch", async () => {
    const batches = await read(sourceOf({ destination: destinationOf([]) }));
    expect(batches.map(({ rows, letters }) => ({ rows, letters }))).toEqual([{ rows: 0, letters: [] }]);
    expect(batches[0]?.position).not.toBeNull();
  });

  it("hides columns of what stays, too, and still says which letter it is", async () => {
    const pages = [[letter("a", '{"id":1,"mail":"a@b"}'), letter("b", "broken a@b")]];
    const [batch] = await read(choosingSource(sourceOf({ destination: destinationOf(pages) }), { redact: ["mail"] }));
    expect(batch && toRows(batch)).toEqual([{ id: 1, mail: null }]);
    expect(batch?.letters).toEqual(["a"]);
    expect(batch?.rejects).toEqual([expect.objectContaining({ letter: "b", raw: "" })]);
    expect(JSON.stringify(batch?.rejects)).not.toContain("a@b");
  });

  it("needs a reader of texts, and a destination that keeps letters as a table", () => {
    const { reread: _reread, ...silent } = reader;
    expect(() => sourceOf({ source: silent })).toThrow("from.connection");
    expect(() => sourceOf({ destination: { describeTarget: unused, openLoad: unused } })).toThrow("to.connection");
  });
});
