// The small words: durations, ids, hints, paths.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDuration } from "../../core/duration.ts";
import {
  deliveryKey,
  inspectWorkflowId,
  loadKey,
  parseFiring,
  parseRunWorkflowId,
  parseScheduleId,
  runWorkflowId,
  scheduledWorkflowId,
  scheduleId,
} from "../../core/ids.ts";
import { didYouMean, formatPath, nearest } from "../../core/issues.ts";

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1.5h", 5_400_000],
    ["1h30m", 5_400_000],
    ["0s", 0],
    ["PT5M", 300_000],
    ["PT0S", 0],
    ["PT0.5S", 500],
    ["P1DT2H", 93_600_000],
    ["P2W", 1_209_600_000],
  ])("%s", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each([
    "",
    "5",
    "s",
    "5 m",
    "-5s",
    "+5s",
    "5M",
    "5min",
    "1e3s",
    "P",
    "PT",
    "P1DT",
    "P1Y",
    "P1M",
    "PT5",
    "pt5m",
    "٣s",
    "9".repeat(400) + "d",
  ])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it("never gives anything but whole, safe milliseconds", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^P?T?[0-9.]{1,30}(ms|s|m|h|d|H|M|S|D|W)$/)), (text) => {
        const milliseconds = parseDuration(text);
        expect(milliseconds === undefined || (Number.isSafeInteger(milliseconds) && milliseconds >= 0)).toBe(true);
      }),
    );
  });
});

describe("ids", () => {
  it("of schedules and of the runs that they start can be read back", () => {
    const schedule = { pipeline: "shop", name: "a-b" };
    expect(parseScheduleId(scheduleId(schedule))).toEqual(schedule);
    expect(["", "downbeat/run/shop/x", "downbeat/schedule/shop", "downbeat/schedule/shop/a/b"].map(parseScheduleId)).toEqual(
      Array(4).fill(undefined),
    );
    // Temporal appends the moment.
    const workflowId = `${scheduledWorkflowId(schedule)}-2026-01-02T03:04:05Z`;
    expect(parseFiring(workflowId, schedule)).toEqual({ runId: "shop.a-b-2026-01-02T03:04:05Z", firedAt: Date.UTC(2026, 0, 2, 3, 4, 5) });
    expect(parseRunWorkflowId(workflowId)?.runId).toBe("shop.a-b-2026-01-02T03:04:05Z");
    for (const other of [
      { pipeline: "shop", name: "a" },
      { pipeline: "other", name: "a-b" },
    ])
      expect(parseFiring(workflowId, other)).toBeUndefined();
  });

  it("of runs can be read back", () => {
    const id = runWorkflowId("commerce", "0199-a");
    expect(id).toBe("downbeat/run/commerce/0199-a");
    expect(parseRunWorkflowId(id)).toEqual({ pipeline: "commerce", runId: "0199-a" });
  });

  it.each([
    "",
    "downbeat/run/",
    "downbeat/run/a",
    "downbeat/run/a/",
    "downbeat/run//b",
    "downbeat/run/a/b/c",
    "downbeat/check/a/b",
    "other",
  ])("of other things are not runs: %j", (id) => {
    expect(parseRunWorkflowId(id)).toBeUndefined();
  });

  it("of looks, loads and deliveries tell their parts apart", () => {
    expect(inspectWorkflowId("check", "shop", "1")).toBe("downbeat/check/shop/1");
    expect(deliveryKey("run", "task")).toBe("run/task");
    // A stream may have slashes in it; names of pipelines and tasks have none.
    const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,5}$/);
    fc.assert(
      fc.property(fc.tuple(name, name, fc.string()), fc.tuple(name, name, fc.string()), (left, right) => {
        expect(loadKey(...left) === loadKey(...right)).toBe(JSON.stringify(left) === JSON.stringify(right));
      }),
    );
  });
});

describe("hints", () => {
  const known = ["transfer", "trigger_rule", "retry", "needs", "id"];

  it.each([
    ["need", "needs"],
    ["retyr", "retry"],
    ["Transfer", "transfer"],
    ["trigger_rul", "trigger_rule"],
    ["triger-rule", "trigger_rule"],
    ["xyz", undefined],
    ["", undefined],
  ])("nearest to %j is %j", (word, meant) => {
    expect(nearest(word, known)).toBe(meant);
  });

  it("name the nearest word, else all when they are few, else nothing", () => {
    expect(didYouMean("need", known)).toBe('; did you mean "needs"?');
    expect(didYouMean("xyz", known)).toBe("; known: transfer, trigger_rule, retry, needs, id");
    expect(
      didYouMean(
        "xyz",
        Array.from({ length: 13 }, (_, index) => `some-word-${index}`),
      ),
    ).toBe("");
    expect(didYouMean("xyz", [])).toBe("");
  });

  it("write paths as people do", () => {
    expect(formatPath(["tasks", 3, "needs", 1])).toBe("tasks[3].needs[1]");
    expect(formatPath([])).toBe("");
  });
});
