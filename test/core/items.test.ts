// The items of a for_each: what loops go over, and what is refused.

import { describe, expect, it } from "vitest";
import { expandItems } from "../../core/items.ts";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";

const scope = {
  params: { days: ["mon", "tue"], n: 3 },
  run: { id: "r" },
  tasks: { up: { status: "succeeded", output: [{ c: "de" }, { c: "fr" }] } },
};
const items = (...over: readonly Json[]) =>
  expandItems(
    over.map((value, index) => ({ as: `v${index}`, in: value })),
    scope,
  );
const values = (over: Json): readonly Json[] => items(over).map(({ v0 }) => v0 ?? null);

describe("loops", () => {
  it.each<[string, Json, readonly Json[]]>([
    ["a list, expressions in it", [1, "${{ params.n }}", { a: 1 }], [1, 3, { a: 1 }]],
    ["an expression", "${{ tasks.up.output.map(r, r.c) }}", ["de", "fr"]],
    ["a range, both ends included", { range: { from: 1, to: "${{ params.n }}", step: 1 } }, [1, 2, 3]],
    ["a range downwards", { range: { from: 3, to: 0, step: -2 } }, [3, 1]],
    ["an empty range", { range: { from: 1, to: 0, step: 1 } }, []],
    [
      "partitions of days",
      { partitions: { from: "2026-02-27", to: "2026-03-01", every: "1d" } },
      [
        { start: "2026-02-27T00:00:00.000Z", end: "2026-02-28T00:00:00.000Z" },
        { start: "2026-02-28T00:00:00.000Z", end: "2026-03-01T00:00:00.000Z" },
      ],
    ],
    [
      "partitions of months",
      { partitions: { from: "2025-12-01", to: "2026-02-01", every: "month" } },
      [
        { start: "2025-12-01T00:00:00.000Z", end: "2026-01-01T00:00:00.000Z" },
        { start: "2026-01-01T00:00:00.000Z", end: "2026-02-01T00:00:00.000Z" },
      ],
    ],
    [
      "partitions of months from the end of one, each at its own",
      { partitions: { from: "2026-01-31T06:00:30Z", to: "2026-05-01", every: "month" } },
      [
        { start: "2026-01-31T06:00:30.000Z", end: "2026-02-28T06:00:30.000Z" },
        { start: "2026-02-28T06:00:30.000Z", end: "2026-03-31T06:00:30.000Z" },
        { start: "2026-03-31T06:00:30.000Z", end: "2026-04-30T06:00:30.000Z" },
        { start: "2026-04-30T06:00:30.000Z", end: "2026-05-01T00:00:00.000Z" },
      ],
    ],
    [
      "partitions of days in a zone, also of 23 hours",
      { partitions: { from: "2026-03-28", to: "2026-03-30", timezone: "Europe/Berlin" } },
      [
        { start: "2026-03-28T00:00:00+01:00", end: "2026-03-29T00:00:00+01:00" },
        { start: "2026-03-29T00:00:00+01:00", end: "2026-03-30T00:00:00+02:00" },
      ],
    ],
    [
      "partitions of weeks, the last one up to the end",
      { partitions: { from: "2026-01-01", to: "2026-01-10", every: "week" } },
      [
        { start: "2026-01-01T00:00:00.000Z", end: "2026-01-08T00:00:00.000Z" },
        { start: "2026-01-08T00:00:00.000Z", end: "2026-01-10T00:00:00.000Z" },
      ],
    ],
    ["partitions of nothing", { partitions: { from: "2026-01-10", to: "2026-01-10" } }, []],
  ])("go over %s", (_name, over, expected) => {
    expect(values(over)).toEqual(expected);
  });

  it("turn inside one another, the inner one fastest, and can read the outer one's value", () => {
    expect(items("${{ params.days }}", "${{ [each.v0 + '-a', each.v0 + '-b'] }}")).toEqual([
      { v0: "mon", v1: "mon-a" },
      { v0: "mon", v1: "mon-b" },
      { v0: "tue", v1: "tue-a" },
      { v0: "tue", v1: "tue-b" },
    ]);
  });

  it.each<[string, Json, string]>([
    ["a text", "${{ params.days[0] }}", "no list"],
    ["a step of 0", { range: { from: 1, to: 2, step: 0 } }, "step that is not 0"],
    ["a fraction", { range: { from: 1, to: 2.5, step: 1 } }, "whole numbers"],
    ["a date that is none", { partitions: { from: "2026-13-01", to: "2026-03-01", every: "1d" } }, "partitions need"],
    ["a length that is none", { partitions: { from: "2026-01-01", to: "2026-03-01", every: "fortnight" } }, 'every is "fortnight"'],
    ["a length of nothing", { partitions: { from: "2026-01-01", to: "2026-03-01", every: "0s" } }, "a second or more"],
    ["a zone that is none", { partitions: { from: "2026-01-01", to: "2026-03-01", timezone: "Berlin" } }, "no time zone"],
    ["too many partitions", { partitions: { from: "2026-01-01", to: "2027-01-01", every: "1m" } }, "more than 20000 partitions"],
    ["too many", { range: { from: 1, to: LIMITS.items + 1, step: 1 } }, "more than 20000 items"],
  ])("refuse %s", (_name, over, words) => {
    expect(() => items(over)).toThrow(
      expect.objectContaining({ code: "EXPRESSION_FAILED", message: expect.stringContaining(words) as string }),
    );
  });

  it("refuse too many as soon as there are, not after making them all", () => {
    const million = { range: { from: 1, to: 1_000_000_000, step: 1 } };
    expect(() => items(million)).toThrow("more than");
    expect(() => items({ range: { from: 1, to: 1_000, step: 1 } }, { range: { from: 1, to: 1_000, step: 1 } })).toThrow("more than");
  });
});
