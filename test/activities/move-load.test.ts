// Moving a load: where chunks end, what is resumed, how many rows may be refused, and that nothing is committed after a fault.

import { describe, expect, it, vi } from "vitest";
import { type DeadLetterLimits, limitsOf } from "../../activities/dead-letter-limits.ts";
import { moveLoad } from "../../activities/move-load.ts";
import type { Batch, Position, Reject } from "../../connectors/batch.ts";
import type { Load, ResumePoint, Source } from "../../connectors/connector.ts";
import { fromRows } from "../../connectors/lib/rows.ts";

const COLUMNS = [{ name: "id", type: { kind: "int64" }, nullable: false }] as const;
const FRESH: ResumePoint = { rows: 0, bytes: 0, deadLetters: 0, position: null, bounds: undefined, newRun: true, done: false };

const batchOf = (rows: number, position: Position | null, rejected = 0): Batch => ({
  ...fromRows(COLUMNS, [{ id: 1 }], { position }),
  rows,
  rejects: Array.from(
    { length: rejected },
    (_, index): Reject => ({
      code: "SOURCE_DATA_INVALID",
      reason: "no number",
      raw: "x",
      where: `line ${index + 1}`,
    }),
  ),
});

const setUp = (batches: readonly (Batch | Error)[], resume: ResumePoint = FRESH) => {
  const calls: string[] = [];
  const source: Source = {
    discover: () => Promise.resolve([]),
    bounds: () => Promise.resolve("upper"),
    async *read({ position, bounds, newRun }) {
      calls.push(`read from ${String(position)} to ${String(bounds)}${newRun ? "" : ", resumed"}`);
      for (const batch of batches) {
        await Promise.resolve();
        if (batch instanceof Error) throw batch;
        yield batch;
      }
    },
  };
  const note = (what: string): Promise<void> => {
    calls.push(what);
    return Promise.resolve();
  };
  const load: Load = {
    resume,
    begin: (bounds) => note(`begin ${String(bounds)}`),
    write: (batch) => note(`write ${batch.rows}`),
    commit: (position) => note(`commit ${String(position)}`),
    finish: () => note("finish"),
    seen: () => Promise.resolve(new Set()),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const move = (
    limits: number | DeadLetterLimits = 0,
    signal = new AbortController().signal,
    chunks: { readonly chunkRows?: number } = {},
  ) =>
    moveLoad({
      ...chunks,
      source,
      load,
      request: { stream: "orders", options: {}, nullCursor: "fail" },
      limits: typeof limits === "number" ? { maxRows: limits } : limits,
      signal,
      progress: () => undefined,
    });
  return { calls, move };
};

describe("a load", () => {
  it("commits at the first resumable place after a chunk's rows, and at the end", async () => {
    const { calls, move } = setUp([batchOf(300_000, 1), batchOf(300_000, null), batchOf(10, 3), batchOf(5, 4)]);
    expect(await move()).toMatchObject({ rows: 600_015, chunks: 2, position: 4 });
    expect(calls.filter((call) => !call.startsWith("write"))).toEqual([
      "begin upper",
      "read from null to upper",
      "commit 3",
      "commit 4",
      "finish",
    ]);
  });

  it("commits after as many rows as it is told", async () => {
    const { calls, move } = setUp([batchOf(3, 1), batchOf(3, 2), batchOf(3, 3)]);
    expect(await move(0, undefined, { chunkRows: 5 })).toMatchObject({ rows: 9, chunks: 2 });
    expect(calls.filter((call) => call.startsWith("commit"))).toEqual(["commit 2", "commit 3"]);
  });

  it("tells until when the source's rows are in, as of the last commit", async () => {
    const { move } = setUp([
      { ...batchOf(1, 1), asOf: 40_000 },
      { ...batchOf(1, 2), asOf: 97_500 },
    ]);
    expect(await move()).toMatchObject({ asOf: 97_500 });
    expect(await setUp([batchOf(1, 1)]).move()).not.toHaveProperty("asOf");
  });

  it("goes on where it was, within the bounds that it began with", async () => {
    const { calls, move } = setUp([batchOf(5, 9)], { ...FRESH, rows: 7, position: 8, bounds: "first", newRun: false });
    expect(await move()).toMatchObject({ rows: 12, chunks: 1, position: 9 });
    expect(calls).toEqual(["read from 8 to first, resumed", "write 5", "commit 9", "finish"]);
  });

  it("that is done reads and writes nothing", async () => {
    const { calls, move } = setUp([batchOf(5, 9)], { ...FRESH, rows: 7, position: 8, done: true });
    expect(await move()).toMatchObject({ rows: 7, chunks: 0, position: 8 });
    expect(calls).toEqual([]);
  });

  it("of a slow source is committed from time to time, at the next place to go on from", async () => {
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 20_000));
    try {
      const { calls, move } = setUp([batchOf(1, 1), batchOf(1, 2), batchOf(1, null), batchOf(1, 4), batchOf(1, 5)]);
      await move();
      expect(calls.filter((call) => call.startsWith("commit"))).toEqual(["commit 4", "commit 5"]);
    } finally {
      clock.mockRestore();
    }
  });

  it("ends with the source's failure, what was not committed is not", async () => {
    const { calls, move } = setUp([batchOf(5, 1), new Error("cut")]);
    await expect(move()).rejects.toThrow("cut");
    expect(calls.some((call) => call.startsWith("commit") || call === "finish")).toBe(false);
  });

  it("that was cancelled neither writes nor commits", async () => {
    const { calls, move } = setUp([batchOf(5, 1)]);
    await expect(move(0, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    expect(calls.filter((call) => /write|commit|finish/.test(call))).toEqual([]);
  });
});

describe("refused rows", () => {
  it("fail the load at the first, with its own code, where none are allowed", async () => {
    const { calls, move } = setUp([batchOf(5, 1, 1)]);
    await expect(move()).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("line 1: no number") as string,
    });
    expect(calls.some((call) => call.startsWith("write"))).toBe(false);
  });

  it("may be as many as the task allows, over all batches and attempts", async () => {
    expect(await setUp([batchOf(5, 1, 2), batchOf(5, 2, 1)]).move(3)).toMatchObject({ deadLetters: 3 });
    await expect(setUp([batchOf(5, 1, 2), batchOf(5, 2, 2)]).move(3)).rejects.toMatchObject({
      code: "DEAD_LETTER_LIMIT",
      details: { refused: 4, allowed: 3 },
    });
    await expect(setUp([batchOf(5, 1, 1)], { ...FRESH, deadLetters: 3 }).move(3)).rejects.toMatchObject({ code: "DEAD_LETTER_LIMIT" });
  });

  it("may be a share of the rows, which is judged before a commit once there are enough, and of all rows at the end", async () => {
    const onePercent = { maxRows: 1_000, maxShare: 0.01 };
    const chunks = { chunkRows: 100 };
    // 2 of 102: too few to judge by, and in the end 2 of 1,002.
    const spread = setUp([batchOf(100, 1, 2), batchOf(900, 2)]);
    expect(await spread.move(onePercent, undefined, chunks)).toMatchObject({ rows: 1_000, deadLetters: 2 });
    expect(spread.calls.filter((call) => call.startsWith("commit"))).toEqual(["commit 1", "commit 2"]);
    // Exactly the limit.
    expect(await setUp([batchOf(99, 1, 1)]).move(onePercent)).toMatchObject({ deadLetters: 1 });
    expect(await setUp([batchOf(71, 1, 29)]).move(limitsOf({ max_share: 0.29 }))).toMatchObject({ deadLetters: 29 });
    expect(await setUp([batchOf(0, 1)]).move(limitsOf({ max_share: 0 }))).toMatchObject({ deadLetters: 0 });
    const early = setUp([batchOf(100, 1), batchOf(985, 2, 15), batchOf(10_000, 3)]);
    await expect(early.move(onePercent, undefined, chunks)).rejects.toMatchObject({
      code: "DEAD_LETTER_LIMIT",
      message:
        "orders: 15 of 1100 rows refused, that is 1.36 %, and 1 % allowed (dead_letters.max_share); the last: orders: line 15: no number",
      details: { refused: 15, read: 1_100, allowedShare: 0.01 },
    });
    expect(early.calls.filter((call) => call.startsWith("commit") || call === "finish")).toEqual(["commit 1"]);
    const few = setUp([batchOf(49, 1, 1)]);
    await expect(few.move(onePercent)).rejects.toMatchObject({ code: "DEAD_LETTER_LIMIT", details: { refused: 1, read: 50 } });
    expect(few.calls).not.toContain("commit 1");
  });

  it("count with those of earlier attempts, also where nothing is left to read", async () => {
    const resume = { ...FRESH, rows: 900, deadLetters: 10, position: 8, bounds: "first", newRun: false };
    const share = { maxRows: Number.POSITIVE_INFINITY, maxShare: 0.01 };
    expect(await setUp([batchOf(90, 9)], resume).move(share)).toMatchObject({ rows: 990, deadLetters: 10 });
    const { calls, move } = setUp([batchOf(0, 8)], resume);
    await expect(move(share)).rejects.toMatchObject({ code: "DEAD_LETTER_LIMIT", details: { refused: 10, read: 910 } });
    expect(calls).not.toContain("finish");
  });

  it("are kept to both limits, and a share alone sets no number", async () => {
    expect(limitsOf()).toEqual({ maxRows: 0 });
    expect(limitsOf({ max_rows: 3, max_share: 0.5 })).toEqual({ maxRows: 3, maxShare: 0.5 });
    expect(await setUp([batchOf(5, 1, 5)]).move(limitsOf({ max_share: 0.5 }))).toMatchObject({ deadLetters: 5 });
    await expect(setUp([batchOf(5, 1, 5)]).move({ maxRows: 4, maxShare: 0.5 })).rejects.toMatchObject({
      details: { refused: 5, allowed: 4 },
    });
  });
});
