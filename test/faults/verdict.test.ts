// The judge of the kills: each kind of fault is seen, and a run that is right is called so.

import { describe, expect, it } from "vitest";
import { type Evidence, faultsOf } from "./verdict.ts";

const finishedAt = "2026-01-02T03:04:05.000Z";
const at = Date.parse(finishedAt) - 100;
const task = { id: "a", status: "succeeded", attempts: 1, finished_at: finishedAt, attempt_log: [{ lost_attempts: 0 }] };
const right: Evidence = {
  run: "r",
  wanted: { status: "succeeded", tasks: { a: "succeeded" } },
  shown: { status: "succeeded", tasks: [task] },
  real: { status: "succeeded", tasks: { a: "succeeded" } },
  items: {},
  marking: ["a"],
  recorded: [{ task: "a", item: 0, finishedAt }],
  effects: [{ run: "r", task: "a", item: 0, at }],
};
const effect = (later: number, item = 0) => ({ run: "r", task: "a", item, at: at + later });

describe("the verdict on a run", () => {
  it("finds nothing in a run that is right", () => {
    expect(faultsOf(right)).toEqual([]);
    const lost = { ...task, attempt_log: [{ lost_attempts: 1 }] };
    expect(faultsOf({ ...right, shown: { ...right.shown, tasks: [lost] }, effects: [effect(-500), effect(0)] })).toEqual([]);
  });

  it.each<[string, Partial<Evidence>, RegExp]>([
    ["a wrong end", { wanted: { status: "cancelled", tasks: { a: "succeeded" } } }, /should be cancelled/],
    ["a wrong end of a task", { wanted: { status: "succeeded", tasks: { a: "skipped" } } }, /a is succeeded, and should be skipped/],
    ["a read model behind the run", { real: { status: "failed", tasks: { a: "failed" } } }, /Temporal failed/],
    ["a task that nobody shows", { real: { status: "succeeded", tasks: { a: "succeeded", b: "failed" } } }, /b is absent/],
    ["success without an effect", { effects: [] }, /without an effect/],
    ["more effects than tries", { effects: [effect(-500), effect(0)] }, /done 2 times in 1 tries/],
    ["a repetition of what was recorded", { effects: [effect(0), effect(200)] }, /ran again 1 times/],
    ["an item that was left out", { items: { a: 2 }, effects: [effect(0), effect(0, 0)] }, /1 of 2 items of a/],
    [
      "a repetition of an item",
      { recorded: [{ task: "a", item: 2, finishedAt }], effects: [effect(0, 2), effect(200, 2)] },
      /a\[2\] ran again/,
    ],
    [
      "a success that was recorded anew",
      { shown: { status: "succeeded", tasks: [{ ...task, finished_at: "2026-01-02T03:04:09.000Z" }] } },
      /now at/,
    ],
  ])("sees %s", (_name, change, fault) => {
    expect(faultsOf({ ...right, ...change }).join("\n")).toMatch(fault);
  });
});
