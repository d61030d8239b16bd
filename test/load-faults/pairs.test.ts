// The sample and the words of `--only`.

import { describe, expect, it } from "vitest";
import { allCases, casesNamed, idOf } from "./cases.ts";
import { drawnOrder, eachBoundary, pairsOf, pairwise } from "./pairs.ts";

const all = allCases();

describe("the sample", () => {
  it("has every pair of values that can meet, in far fewer cases than there are", () => {
    const sample = pairwise(all, 1);
    expect(new Set(sample.flatMap(pairsOf))).toEqual(new Set(all.flatMap(pairsOf)));
    expect(sample.length).toBeLessThan(all.length / 15);
  });

  it("is the same for the same seed, and another for another", () => {
    expect(pairwise(all, 1).map(idOf)).toEqual(pairwise(all, 1).map(idOf));
    expect(pairwise(all, 1).map(idOf)).not.toEqual(pairwise(all, 2).map(idOf));
  });
});

describe("each boundary", () => {
  const boundaryOf = (id: string): string => id.split("/").slice(0, 4).join("/");

  it("comes once for each source, destination and mode, with all sorts of deaths", () => {
    const sample = eachBoundary(all, 1);
    const wanted = new Set(all.map((one) => boundaryOf(idOf(one))));
    expect(sample.map((one) => boundaryOf(idOf(one))).toSorted()).toEqual([...wanted].toSorted());
    expect(new Set(sample.map(({ death }) => death))).toEqual(new Set(all.map(({ death }) => death)));
  });

  it("comes early in the whole matrix, in which each case comes once", () => {
    const order = drawnOrder(all, 1);
    expect(order.map(idOf).toSorted()).toEqual(all.map(idOf).toSorted());
    const early = order.slice(0, pairwise(all, 1).length + eachBoundary(all, 1).length);
    expect(new Set(early.map((one) => boundaryOf(idOf(one))))).toEqual(new Set(all.map((one) => boundaryOf(idOf(one)))));
  });
});

describe("the cases that words name", () => {
  it("have one of the values of each dimension that is named", () => {
    const { cases } = casesNamed(["mysql", "kafka", "duckdb", "merge"]);
    expect(new Set(cases.map(({ source, destination, mode }) => `${source} ${destination} ${mode}`))).toEqual(
      new Set(["mysql duckdb merge", "kafka duckdb merge"]),
    );
  });

  it("are those whose ids are given", () => {
    const id = "http/postgres/append/writing/last";
    expect(casesNamed([id]).cases.map(idOf)).toEqual([id]);
  });

  it("are all without words; words that name nothing are told", () => {
    expect(casesNamed([])).toEqual({ cases: all, unknown: [] });
    expect(casesNamed(["mysql", "oracle", "http/postgres/append/within-commit/last"]).unknown).toEqual([
      "oracle",
      "http/postgres/append/within-commit/last",
    ]);
  });
});
