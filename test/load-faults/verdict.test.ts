// The judge of loads that were killed sees what must not be: it would let nothing pass.

import { describe, expect, it } from "vitest";
import type { Sight } from "./destinations.ts";
import { eventsOf, expected, lineOf, type Texts } from "./rows.ts";
import { changesBetween, faultsAtEnd, faultsBetween } from "./verdict.ts";

const wanted = expected(eventsOf("all").slice(0, 600), "append", true);
const { lines } = wanted;
const [first = "", second = ""] = lines;

const sight = (given: Partial<Sight> = {}): Sight => ({
  lines,
  loads: [{ origin: "run", rows: lines.length, chunks: 2, deadLetters: 1, done: true }],
  receipts: [
    { origin: "run", seq: 1, rows: 400 },
    { origin: "run", seq: 2, rows: lines.length - 400 },
  ],
  letters: [{ origin: "run", place: "row 251" }],
  cursors: ["run"],
  staging: [],
  ...given,
});

const atEnd = (given: Partial<Sight>): readonly string[] =>
  faultsAtEnd(sight(given), { mode: "append", isIncremental: true, origin: "run", wanted: [wanted] });

const changed = lineOf({ ...eventsOf("all")[0]?.texts, active: "false" } as Texts);

describe("at the end", () => {
  it("nothing is wrong with what is right", () => expect(atEnd({})).toEqual([]));

  it.each<readonly [string, Partial<Sight>, RegExp]>([
    ["a row that is missing", { lines: lines.slice(1) }, /1 missing \(ids 1\)/],
    [
      "a row that is there twice while another is missing",
      { lines: [...lines.slice(1), second] },
      /1 missing .* 1 that are there more than once/,
    ],
    ["another value", { lines: [changed, ...lines.slice(1)] }, /other values in active/],
    ["no table", { lines: undefined }, /0 rows instead of/],
    ["a receipt that is missing", { receipts: sight().receipts.slice(1) }, /1 receipts of .* 2 chunks/],
    ["a dead letter that is missing", { letters: [] }, /0 dead letters/],
    ["a dead letter that is there twice", { letters: [...sight().letters, ...sight().letters] }, /more than once/],
    ["a load that has not ended", { loads: [{ ...sight().loads[0]!, done: false }] }, /has not ended/],
    ["another's cursor", { cursors: ["earlier"] }, /the cursor is that of earlier/],
    ["staging that was left", { staging: ["_downbeat_1"] }, /staging is left/],
  ])("%s is told", (_what, given, message) => expect(atEnd(given).join("\n")).toMatch(message));
});

describe("between two attempts", () => {
  const after = [lines];
  const written = new Set(lines);
  const half = { lines: lines.slice(0, 400), receipts: sight().receipts.slice(0, 1), letters: [] };
  const loads = [{ origin: "run", rows: 400, chunks: 1, deadLetters: 0, done: false }];

  it("whole chunks are right", () =>
    expect(faultsBetween(sight({ ...half, loads }), { mode: "append", before: [], after, written })).toEqual([]));

  it("rows without a receipt are told", () =>
    expect(faultsBetween(sight({ ...half, loads, lines: lines.slice(0, 401) }), { mode: "append", before: [], after, written })).toEqual([
      "401 rows, but receipts of 400",
    ]));

  it("a row that is there twice is told, in an append and in a merge", () => {
    const doubled = sight({ ...half, loads, lines: [first, ...lines.slice(0, 399)] });
    expect(faultsBetween(doubled, { mode: "append", before: [], after, written })).toEqual(["1 rows too often (ids 1)"]);
    expect(faultsBetween(doubled, { mode: "merge", before: [], after, written })).toEqual(["1 keys are there more than once"]);
  });

  it("a replace shows the old table or the new one, and nothing between them", () => {
    const old = lines.slice(0, 10);
    const shown = (shownLines: readonly string[]): readonly string[] =>
      faultsBetween(sight({ lines: shownLines }), { mode: "replace", before: old, after, written });
    expect(shown(old)).toEqual([]);
    expect(shown(lines)).toEqual([]);
    expect(shown([])[0]).toMatch(/neither the old table nor the new one/);
  });
});

describe("of an attempt that was overtaken", () => {
  it("every change is told", () => {
    expect(changesBetween(sight(), sight())).toEqual([]);
    expect(changesBetween(sight(), sight({ lines: [...lines, first] }))).toHaveLength(1);
    expect(changesBetween(sight(), sight({ cursors: [] }))).toEqual(["the overtaken attempt changed the bookkeeping"]);
  });
});
