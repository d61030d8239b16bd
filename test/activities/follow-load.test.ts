// A load that follows its source: passes one after the other, commits of what has come, rounds, and where it ends.

import { describe, expect, it } from "vitest";
import { type Following, type LoadFigures, moveLoad } from "../../activities/move-load.ts";
import type { Batch, Position } from "../../connectors/batch.ts";
import type { Load, ResumePoint, Source } from "../../connectors/connector.ts";
import { fromRows } from "../../connectors/lib/rows.ts";

const COLUMNS = [{ name: "id", type: { kind: "int64" }, nullable: false }] as const;
const FRESH: ResumePoint = { rows: 0, bytes: 0, deadLetters: 0, position: null, bounds: undefined, newRun: true, done: false };

const batchOf = (rows: number, position: Position | null): Batch => ({ ...fromRows(COLUMNS, [{ id: 1 }], { position }), rows });

/** What each pass brings. The load is told to end when all have been read, unless the round is over first. */
const setUp = (
  passes: readonly (readonly Batch[])[],
  {
    resume = FRESH,
    roundOverAfter = Infinity,
    everyMs = 60_000,
    leaves,
  }: { resume?: ResumePoint; roundOverAfter?: number; everyMs?: number; leaves?: AbortSignal } = {},
) => {
  const calls: string[] = [];
  const told: LoadFigures[] = [];
  const note = (what: string): Promise<void> => {
    calls.push(what);
    return Promise.resolve();
  };
  let pass = 0;
  let commits = 0;
  const source: Source = {
    discover: () => Promise.resolve([]),
    bounds: ({ position }) => Promise.resolve(`after ${String(position)}`),
    async *read({ position, bounds, newRun }) {
      calls.push(`read from ${String(position)} to ${String(bounds)}${newRun ? "" : ", resumed"}`);
      const batches = passes[pass] ?? [];
      pass += 1;
      yield* batches;
    },
  };
  const load: Load = {
    resume,
    begin: (bounds) => note(`begin ${String(bounds)}`),
    write: () => Promise.resolve(),
    commit: (position) => {
      commits += 1;
      return note(`commit ${String(position)}`);
    },
    finish: () => note("finish"),
    seen: () => Promise.resolve(new Set()),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const follow: Following = {
    everyMs,
    isOver: () => pass >= passes.length && roundOverAfter === Infinity,
    leaves,
    leftMs: () => (commits >= roundOverAfter ? 0 : 60_000),
  };
  const move = (signal = new AbortController().signal) =>
    moveLoad({
      source,
      load,
      request: { stream: "orders", options: {}, nullCursor: "fail" },
      limits: { maxRows: 0 },
      signal,
      follow,
      progress: (figures) => told.push(figures),
    });
  return { calls, told, move };
};

describe("a load that follows", () => {
  it("reads what has come since, from where it was, and commits each pass; what brought nothing is no chunk", async () => {
    const passes = [[batchOf(3, 1)], [], [batchOf(0, 1)], [batchOf(2, 2)]];
    const { calls, move } = setUp(passes, { everyMs: 1 });
    expect(await move()).toEqual({ rows: 5, bytes: expect.any(Number) as number, deadLetters: 0, chunks: 2, position: 2 });
    expect(calls).toEqual([
      "begin after null",
      "read from null to after null",
      "commit 1",
      "read from 1 to after 1",
      "read from 1 to after 1",
      "read from 1 to after 1",
      "commit 2",
      "finish",
    ]);
  });

  it("commits a place that has moved on, although nothing of it was for the table", async () => {
    const { calls, move } = setUp([[batchOf(0, 1)], [batchOf(0, 2)]], { everyMs: 1 });
    expect(await move()).toMatchObject({ rows: 0, position: 2 });
    expect(calls.filter((call) => call.startsWith("commit"))).toEqual(["commit 1", "commit 2"]);
  });

  it("tells how far it is behind, also by passes that bring nothing", async () => {
    const { told, move } = setUp([[{ ...batchOf(1, 1), asOf: 1_000 }], [{ ...batchOf(0, 1), asOf: 2_000 }]], { everyMs: 1 });
    await move();
    expect(told.some(({ asOf }) => asOf === 1_000)).toBe(true);
    expect(told.at(-1)).toMatchObject({ asOf: 2_000 });
  });

  it("is left open when its round is over: at the end of a pass, and in the midst of one that is long", async () => {
    const between = setUp([[batchOf(3, 1)], [batchOf(1, 2)]], { roundOverAfter: 1 });
    expect(await between.move()).toMatchObject({ rows: 3, position: 1, isOpen: true });
    expect(between.calls.at(-1)).toBe("commit 1");
    const within = setUp([[batchOf(500_000, 1), batchOf(5, 2)]], { roundOverAfter: 1 });
    expect(await within.move()).toMatchObject({ rows: 500_000, position: 1, isOpen: true });
    expect(within.calls.filter((call) => call.startsWith("commit") || call === "finish")).toEqual(["commit 1"]);
  });

  it("goes on in the next round to where its source ends by then, not to where it ended as the load began", async () => {
    const { calls, move } = setUp([[batchOf(1, 9)]], { resume: { ...FRESH, rows: 7, position: 8, bounds: "first", newRun: false } });
    expect(await move()).toMatchObject({ rows: 8, position: 9 });
    expect(calls).toEqual(["read from 8 to after 8, resumed", "commit 9", "finish"]);
  });

  it("that had committed nothing begins where it was to begin", async () => {
    const { calls, move } = setUp([[batchOf(1, 1)]], { resume: { ...FRESH, bounds: "first" } });
    await move();
    expect(calls[0]).toBe("read from null to first");
  });

  it("waits where there is nothing yet, and so no place to go on from", async () => {
    const { calls, move } = setUp([[batchOf(0, null)], [batchOf(2, 5)]], { everyMs: 1 });
    expect(await move()).toMatchObject({ rows: 2, position: 5, chunks: 1 });
    expect(calls.filter((call) => call.startsWith("commit"))).toEqual(["commit 5"]);
  });

  it("is refused where the stream does not tell how to go on, before anything is committed", async () => {
    const { calls, move } = setUp([[batchOf(1, null)]]);
    await expect(move()).rejects.toMatchObject({ code: "SOURCE_OPTIONS_INVALID" });
    expect(calls.filter((call) => call.startsWith("commit") || call === "finish")).toEqual([]);
  });

  it("is left open at once when its worker ends: between two passes", async () => {
    const leaving = new AbortController();
    const { calls, told, move } = setUp([[batchOf(3, 1)], [batchOf(1, 2)]], { leaves: leaving.signal });
    const moved = move();
    await expect.poll(() => told.some(({ chunks }) => chunks === 1)).toBe(true);
    leaving.abort();
    expect(await moved).toMatchObject({ rows: 3, position: 1, isOpen: true });
    expect(calls.at(-1)).toBe("commit 1");
  });

  it("and at the next place to go on from, in the midst of a pass", async () => {
    const leaves = AbortSignal.abort();
    const { calls, move } = setUp([[batchOf(1, null), batchOf(1, 2), batchOf(1, 3)], []], { leaves });
    expect(await move()).toMatchObject({ rows: 2, position: 2, isOpen: true });
    expect(calls.filter((call) => call.startsWith("commit") || call === "finish")).toEqual(["commit 2"]);
  });

  it("ends at once when it is cancelled between two passes", async () => {
    const controller = new AbortController();
    const { calls, told, move } = setUp([[batchOf(1, 1)], [batchOf(1, 2)]]);
    const moved = move(controller.signal);
    await expect.poll(() => told.some(({ chunks }) => chunks === 1)).toBe(true);
    controller.abort(new Error("stop"));
    await expect(moved).rejects.toThrow();
    expect(calls).not.toContain("finish");
  });
});
