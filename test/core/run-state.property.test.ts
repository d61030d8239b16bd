// Properties of the run-state reducer over random graphs, rules, fates and orders of completion.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunOutcome, RunState } from "../../core/run-state.ts";
import * as reducer from "../../core/run-state.ts";
import { chooser, execute, type Executed, scenarios } from "./runs.ts";

const order = fc.array(fc.nat(), { minLength: 1, maxLength: 40 });
const RUNS = { numRuns: 1_000 };

const outcomeOf = ({ state, graph }: Executed): RunOutcome => reducer.outcome(state, graph);
const statuses = ({ state }: Executed): readonly string[] => state.tasks.map(({ status }) => status);

/** Rules whose verdict may not come before all needs have ended. */
const PATIENT = ["all_success", "all_done", "none_failed", "none_failed_min_one_success", "all_failed"] as const;

describe("run-state reducer: properties", () => {
  it("every order of completions gives the same outcome", () => {
    fc.assert(
      fc.property(scenarios(), order, order, (scenario, left, right) => {
        const one = execute(scenario, { choose: chooser(left) });
        const other = execute(scenario, { choose: chooser(right), window: 2 });
        expect(outcomeOf(other)).toBe(outcomeOf(one));
      }),
      RUNS,
    );
  });

  it("under policy continue, every order gives every task the same status", () => {
    // Rules that look at the first of their needs to end start earlier or later, but they decide the same.
    fc.assert(
      fc.property(scenarios(undefined, ["continue"]), order, order, (scenario, left, right) => {
        expect(statuses(execute(scenario, { choose: chooser(right) }))).toEqual(statuses(execute(scenario, { choose: chooser(left) })));
      }),
      RUNS,
    );
  });

  it("nothing runs before all of its needs have ended, where its rule asks for all of them", () => {
    fc.assert(
      fc.property(scenarios(PATIENT), order, (scenario, choices) => {
        const onStart = (state: RunState, index: number): void => {
          const needs = scenario.plan.tasks[index]?.needs ?? [];
          expect(needs.filter((need) => !reducer.isEnded(state.tasks[need]?.status ?? "pending"))).toEqual([]);
        };
        execute(scenario, { choose: chooser(choices), onStart });
      }),
      RUNS,
    );
  });

  it("no task runs twice at once, nor again after it ended, nor more often than its policy allows", () => {
    fc.assert(
      fc.property(scenarios(), order, (scenario, choices) => {
        const onStart = (state: RunState, index: number): void => {
          expect(["pending", "waiting"]).toContain(state.tasks[index]?.status);
        };
        const { starts } = execute(scenario, { choose: chooser(choices), onStart });
        for (const [index, count] of starts.entries()) {
          const lost = (scenario.fates[index] ?? []).filter((fate) => fate === "is lost").length;
          expect(count).toBeLessThanOrEqual(2 + lost);
        }
      }),
      RUNS,
    );
  });

  it("every run ends with every task ended, also when it is cancelled on the way", () => {
    fc.assert(
      fc.property(scenarios(), order, fc.option(fc.integer({ min: 1, max: 8 }), { nil: 0 }), (scenario, choices, cancelAfter) => {
        const done = execute(scenario, { choose: chooser(choices), cancelAfter });
        expect(statuses(done).filter((status) => !reducer.isEnded(status as never))).toEqual([]);
        if (done.state.stopping === "cancelled") expect(outcomeOf(done)).toBe("cancelled");
      }),
      RUNS,
    );
  });

  it("passing through snapshots changes no outcome, and under policy continue nothing at all", () => {
    fc.assert(
      fc.property(scenarios(), order, (scenario, choices) => {
        const whole = execute(scenario, { choose: chooser(choices), window: 1 });
        const cut = execute(scenario, { choose: chooser(choices), window: 1, snapshots: true });
        expect(outcomeOf(cut)).toBe(outcomeOf(whole));
        // Under fail-fast the order in which tasks start decides which are never begun, and a snapshot starts anew in definition order.
        if (scenario.plan.failurePolicy === "fail-fast") return;
        expect(cut.starts).toEqual(whole.starts);
        expect(statuses(cut)).toEqual(statuses(whole));
      }),
      RUNS,
    );
  });

  it("a fail-fast run fails exactly when the same run under continue does", () => {
    fc.assert(
      fc.property(scenarios(undefined, ["continue"]), order, (scenario, choices) => {
        const failFast = { ...scenario, plan: { ...scenario.plan, failurePolicy: "fail-fast" as const } };
        expect(outcomeOf(execute(failFast, { choose: chooser(choices) }))).toBe(outcomeOf(execute(scenario, { choose: chooser(choices) })));
      }),
      RUNS,
    );
  });
});
