// What a run that starts asks slots of.

import { describe, expect, it } from "vitest";
import { guardPlan } from "../../core/guarded-plan.ts";
import { planOf } from "./runs.ts";

const forEach = { loops: [{ as: "item", in: [1, 2] }], window: 2, maxFailures: 0 };
const plan = planOf({ one: { pool: "p" }, many: { pool: "p", forEach }, free: { forEach } });
const uses = { one: [{ name: "a" }, { name: "b" }], many: [{ name: "a", side: "source" as const }, { name: "b" }], free: [{ name: "b" }] };

describe("guardPlan", () => {
  it("adds the connections that have limits, to the task itself or to its items; pools go where the connections go", () => {
    const guarded = guardPlan({ plan, uses }, new Set(["a"]));
    expect(guarded.tasks.map(({ pool, connections, itemSlots }) => ({ pool, connections, itemSlots }))).toEqual([
      { pool: "p", connections: [{ name: "a" }], itemSlots: undefined },
      { pool: undefined, connections: undefined, itemSlots: { pool: "p", connections: [{ name: "a", side: "source" }] } },
      { pool: undefined, connections: undefined, itemSlots: undefined },
    ]);
  });

  it("leaves a plan as it is that nothing limits", () => {
    const unlimited = planOf({ one: {}, many: { forEach } });
    expect(guardPlan({ plan: unlimited, uses: { one: [{ name: "a" }] } }, new Set())).toBe(unlimited);
  });
});
