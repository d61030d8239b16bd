// Backfills: how ranges fall into partitions, and the state machine of one backfill.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyUse } from "../../core/acted-keys.ts";
import * as backfill from "../../core/backfill.ts";
import { cutPartitions, countOf, partitionAt, partitionsWithin, readBound } from "../../core/partitions.ts";
import { countNumbers, hasNumber, intersectRanges, type NumberRanges, subtractRanges, uniteRanges } from "../../core/number-ranges.ts";

const zone = "Europe/Berlin";
const cut = (from: string, to: string, every: string, timezone = zone) =>
  cutPartitions({ from: readBound(from, timezone) ?? NaN, to: readBound(to, timezone) ?? NaN, timezone, every });
const starts = (plan: ReturnType<typeof cut>): readonly string[] =>
  Array.from({ length: countOf(plan) }, (_, index) => partitionAt(plan, index)?.start ?? "");

describe("partitions", () => {
  it("are days of the zone where clocks change, without gaps", () => {
    const spring = cut("2026-03-28", "2026-03-31", "day");
    expect(starts(spring)).toEqual(["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"]);
    const hours = (plan: typeof spring): readonly number[] =>
      plan.bounds.slice(1).map((end, index) => (end - (plan.bounds[index] ?? 0)) / 3_600_000);
    expect(hours(spring)).toEqual([24, 23, 24]);
    expect(hours(cut("2026-10-24", "2026-10-27", "day"))).toEqual([24, 25, 24]);
    expect(hours(cut("2026-04-04", "2026-04-06", "day", "Australia/Sydney"))).toEqual([24, 25]);
    // No midnight on that day.
    expect(hours(cut("2026-09-05", "2026-09-08", "day", "America/Santiago")).reduce((sum, one) => sum + one, 0)).toBe(71);
  });

  it("are months and years that keep their day, and end with the range", () => {
    expect(starts(cut("2026-01-31", "2026-04-10", "month", "UTC"))).toEqual([
      "2026-01-31T00:00:00+00:00",
      "2026-02-28T00:00:00+00:00",
      "2026-03-31T00:00:00+00:00",
    ]);
    const plan = cut("2024-02-29", "2026-06-01", "year", "UTC");
    expect(starts(plan).map((start) => start.slice(0, 10))).toEqual(["2024-02-29", "2025-02-28", "2026-02-28"]);
    expect(partitionAt(plan, 2)?.end).toBe("2026-06-01T00:00:00+00:00");
    expect(partitionAt(plan, 3)).toBeUndefined();
    expect(starts(cut("2026-01-01", "2026-01-15", "week", "UTC"))).toHaveLength(2);
  });

  it("are the data intervals of a schedule that lie inside", () => {
    const times = {
      calendars: [],
      intervals: [{ everyMs: 3_600_000, offsetMs: 0 }],
      exclude: [],
      timezone: "UTC",
      startAt: "2030-01-01T00:00:00Z",
    };
    const plan = cutPartitions({
      from: Date.parse("2026-01-01T00:30:00Z"),
      to: Date.parse("2026-01-01T03:30:00Z"),
      timezone: "UTC",
      times,
    });
    expect(starts(plan)).toEqual(["2026-01-01T01:00:00+00:00", "2026-01-01T02:00:00+00:00"]);
    expect(partitionsWithin(plan, Date.parse("2026-01-01T01:30:00Z"), Date.parse("2026-01-01T09:00:00Z"))).toEqual([1, 1]);
    expect(partitionsWithin(plan, Date.parse("2026-01-01T02:30:00Z"), Date.parse("2026-01-01T09:00:00Z"))).toBeUndefined();
  });

  it("are a hundred thousand, by hours of a zone and by a schedule's minutes, and not one more", () => {
    const from = Date.parse("2015-01-01T00:00:00Z");
    const hours = cutPartitions({ from, to: from + 100_000 * 3_600_000, timezone: zone, every: "1h" });
    expect(countOf(hours)).toBe(100_000);
    expect(partitionAt(hours, 99_999)?.end).toBe("2026-05-29T18:00:00+02:00");
    expect(() => cutPartitions({ from, to: from + 100_001 * 3_600_000, timezone: zone, every: "1h" })).toThrow(/more than 100000/);
    const all = { start: 0, end: 59, step: 1 };
    const calendar = {
      second: [{ start: 0, end: 0, step: 1 }],
      minute: [all],
      hour: [{ start: 0, end: 23, step: 1 }],
      dayOfMonth: [{ start: 1, end: 31, step: 1 }],
      month: [{ start: 1, end: 12, step: 1 }],
      dayOfWeek: [{ start: 0, end: 6, step: 1 }],
      year: [],
    };
    const times = { calendars: [calendar], intervals: [], exclude: [], timezone: zone };
    expect(countOf(cutPartitions({ from, to: from + 100_000 * 60_000, timezone: zone, times }))).toBe(100_000);
  });

  it.each([
    ["2026-02-01", "2026-02-01", "day", /range is empty/],
    ["2026-02-01", "2026-02-02", "fortnight", /every is "fortnight"/],
    ["2026-02-01", "2026-02-02", "1ms", /a second or more/],
  ])("refuse %s to %s by %s", (from, to, every, message) => {
    expect(() => cut(from, to, every)).toThrow(
      expect.objectContaining({ code: "REQUEST_INVALID", message: expect.stringMatching(message) as string }),
    );
  });

  it.each(["2026-02-30", "yesterday", "2026-02-01T00:00:00", "20260201"])("do not begin at %s", (text) => {
    expect(readBound(text, zone)).toBeUndefined();
  });
});

describe("ranges of numbers", () => {
  const numbers = fc.uniqueArray(fc.nat(40));
  const ranges = (list: readonly number[]): NumberRanges => list.reduce<NumberRanges>((all, one) => uniteRanges(all, [[one, one]]), []);
  const listed = (all: NumberRanges): readonly number[] =>
    Array.from({ length: 41 }, (_, index) => index).filter((one) => hasNumber(all, one));

  it("are sets", () => {
    fc.assert(
      fc.property(numbers, numbers, (left, right) => {
        const [one, other] = [ranges(left), ranges(right)];
        expect(listed(uniteRanges(one, other))).toEqual(listed(ranges([...left, ...right])));
        expect(listed(subtractRanges(one, other))).toEqual(listed(ranges(left.filter((number) => !right.includes(number)))));
        expect(listed(intersectRanges(one, other))).toEqual(listed(ranges(left.filter((number) => right.includes(number)))));
        expect(countNumbers(one)).toBe(left.length);
      }),
    );
  });
});

const begun = (more: Partial<backfill.BackfillSettings> = {}): backfill.BackfillState =>
  backfill.beginBackfill({ count: 5, order: "oldest-first", concurrency: 2, priority: 5, stopAfterFailures: null, ...more });
const opened = (state: backfill.BackfillState): backfill.BackfillState => backfill.openPartitions(state, "b");
const openNumbers = ({ open }: backfill.BackfillState): readonly number[] => open.map(({ partition }) => partition);

describe("a backfill", () => {
  it("keeps a sliding window: a slow partition does not hold the others", () => {
    let state = opened(begun());
    for (const runId of ["b.1", "b.2", "b.3"]) state = opened(backfill.endPartition(state, runId, true));
    expect(openNumbers(state)).toEqual([0, 4]);
    state = backfill.endPartition(backfill.endPartition(state, "b.4", true), "b.0", true);
    expect(backfill.settleBackfill(state).status).toBe("succeeded");
  });

  it("goes from the newest where that is asked", () => {
    expect(openNumbers(opened(begun({ order: "newest-first", concurrency: 3 })))).toEqual([4, 3, 2]);
  });

  it("pauses after so many failures, and counts anew when it is resumed", () => {
    let state = backfill.endPartition(opened(begun({ stopAfterFailures: 1 })), "b.0", false);
    expect(state).toMatchObject({ status: "paused", reason: expect.stringContaining("1 partitions failed") as string });
    expect(openNumbers(opened(state))).toEqual([1]);
    state = opened(backfill.controlBackfill(state, { action: "resume" }));
    expect(state).toMatchObject({ status: "running", failures: 0 });
    expect(openNumbers(state)).toEqual([1, 2]);
  });

  it("retries what has failed under other run ids, also when it has ended", () => {
    let state = begun({ count: 1 });
    state = backfill.settleBackfill(backfill.endPartition(opened(state), "b.0", false));
    expect(state.status).toBe("failed");
    expect(backfill.refuseBackfillControl(state, { action: "retry", partitions: [[3, 4]] })).toContain("none of these");
    state = opened(backfill.controlBackfill(state, { action: "retry" }));
    expect(state.open).toEqual([{ partition: 0, runId: "b.0.1", started: false }]);
    expect(backfill.settleBackfill(backfill.endPartition(state, "b.0.1", true)).status).toBe("succeeded");
  });

  it("remembers the keys of its last actions", () => {
    let state = opened(begun());
    const use = (key: string, requestHash = "this") => keyUse(state.keys ?? [], { key, requestHash });
    expect(keyUse(state.keys ?? [], {})).toBe("new");
    for (let n = 0; n <= 100; n += 1)
      state = backfill.controlBackfill(state, { action: "change", priority: 2 }, { key: `k${n}`, requestHash: "this" });
    state = backfill.controlBackfill(state, { action: "change", priority: 3 });
    expect([use("k0"), use("k1"), use("k100"), use("k100", "that")]).toEqual(["new", "same", "same", "other"]);
    // As an older release kept them.
    expect(keyUse(["old"], { key: "old", requestHash: "this" })).toBe("same");
    expect(state.keys).toHaveLength(100);
  });

  it("skips what has not begun, and refuses to skip what has", () => {
    const state = opened(begun());
    expect(backfill.refuseBackfillControl(state, { action: "skip", partitions: [[0, 1]] })).toContain("have begun");
    const skipped = backfill.controlBackfill(state, { action: "skip", partitions: [[0, 3]] });
    expect(skipped.skipped).toEqual([[2, 3]]);
    expect(openNumbers(opened(backfill.endPartition(skipped, "b.0", true)))).toEqual([1, 4]);
  });

  it("ends cancelled when the last open run has ended", () => {
    let state = backfill.controlBackfill(opened(begun()), { action: "cancel", runs: false });
    expect(backfill.settleBackfill(opened(state)).status).toBe("cancelling");
    const cancel = (runs: boolean) => backfill.refuseBackfillControl(state, { action: "cancel", runs });
    // Its open runs may be cancelled after all, once.
    expect([cancel(false), cancel(true)]).toEqual([expect.stringContaining("being cancelled already"), undefined]);
    state = backfill.controlBackfill(state, { action: "cancel", runs: true });
    expect(cancel(true)).toContain("being cancelled already");
    state = backfill.settleBackfill(backfill.endPartition(backfill.endPartition(state, "b.0", true), "b.1", false));
    expect(state.status).toBe("cancelled");
    expect(backfill.countPartitions(state)).toMatchObject({ succeeded: 1, failed: 1, cancelled: 3, pending: 0 });
    for (const control of [{ action: "pause" }, { action: "resume" }, { action: "retry" }] as const)
      expect(backfill.refuseBackfillControl(state, control)).toBeDefined();
  });

  it("counts what the partitions' states say, whatever is done to it", () => {
    const step = fc.record({ what: fc.constantFrom("end", "fail", "exists", "skip", "retry", "pause", "resume"), at: fc.nat(11) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(...backfill.BACKFILL_ORDERS), (steps, order) => {
        let state = opened(begun({ count: 12, order, concurrency: 3 }));
        const ranBefore = new Set(state.open.map(({ runId }) => runId));
        for (const { what, at } of steps) {
          const run = state.open[at % Math.max(state.open.length, 1)]?.runId ?? "none";
          if (what === "end" || what === "fail") state = backfill.endPartition(state, run, what === "end");
          else if (what === "exists") state = backfill.startedPartition(state, run, "existing");
          else {
            const control = (what === "skip" ? { action: what, partitions: [[at, at]] } : { action: what }) as backfill.BackfillControl;
            if (backfill.refuseBackfillControl(state, control) === undefined) state = backfill.controlBackfill(state, control);
          }
          const before = new Set(state.open.map(({ runId }) => runId));
          state = backfill.settleBackfill(opened(state));
          for (const { runId } of state.open) {
            if (before.has(runId)) continue;
            expect(ranBefore).not.toContain(runId);
            ranBefore.add(runId);
          }
          expect(state.open.length).toBeLessThanOrEqual(3);
          const statuses = Array.from({ length: 12 }, (_, partition) => backfill.partitionStatus(state, partition));
          const counted = Object.fromEntries(
            backfill.PARTITION_STATUSES.map((status) => [status, statuses.filter((one) => one === status).length]),
          );
          expect(backfill.countPartitions(state)).toEqual(counted);
        }
      }),
    );
  });
});
