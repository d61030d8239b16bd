// What runs ask for that start without their plan: those of schedules get their row and data interval, too.

import { guardedPlan } from "../store/guarded-plan.ts";
import { DownbeatError } from "../core/errors.ts";
import { previousFiring } from "../core/firings.ts";
import { parseFiring } from "../core/ids.ts";
import { isoIn } from "../core/time-zone.ts";
import { isRunEnded } from "../core/run-changes.ts";
import { CURRENT_MANNER } from "../core/run-manner.ts";
import type { Definitions } from "../store/definitions.ts";
import { runFacts } from "../store/run-facts.ts";
import type { Runs } from "../store/runs.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { failing } from "./failure.ts";

export interface OpenRunDeps {
  readonly findPlan: Definitions["findPlan"];
  readonly createRun: Runs["create"];
  readonly findRun: Runs["find"];
  /** Names of the connections that have limits. */
  readonly guardedConnections: () => Promise<ReadonlySet<string>>;
}

export const createReadStart =
  ({ findPlan, findRun, guardedConnections }: Omit<OpenRunDeps, "createRun">): DagActivities["readStart"] =>
  ({ runId, planHash }) =>
    failing(async () => {
      const [run, compiled] = await Promise.all([findRun(runId), findPlan(planHash)]);
      if (run === undefined || compiled === undefined)
        throw new DownbeatError("NOT_FOUND", `the store has no ${run === undefined ? `run ${runId}` : `plan ${planHash}`}`);
      return { plan: await guardedPlan(compiled, guardedConnections), params: run.params };
    });

export const createOpenRun =
  ({ findPlan, createRun, guardedConnections }: Omit<OpenRunDeps, "findRun">): DagActivities["openRun"] =>
  ({ pipeline, schedule: name, version, planHash, params, workflowId }) =>
    failing(async () => {
      const firing = parseFiring(workflowId, { pipeline, name });
      if (firing === undefined)
        throw new DownbeatError("NOT_FOUND", `"${workflowId}" is no workflow of schedule "${name}" of "${pipeline}"`);
      const compiled = await findPlan(planHash);
      const plan = compiled?.schedules?.find((schedule) => schedule.name === name);
      if (compiled === undefined || plan === undefined)
        throw new DownbeatError("NOT_FOUND", `the store has no schedule "${name}" in version ${version} of "${pipeline}"`);
      const { runId: id, firedAt } = firing;
      const { timezone } = plan.times;
      const since = previousFiring(plan.times, firedAt);
      const { run } = await createRun({
        id,
        pipeline,
        version,
        planHash,
        origin: id,
        trigger: "schedule",
        schedule: name,
        params,
        ...(since === undefined ? {} : { intervalStart: isoIn(timezone, since), intervalEnd: isoIn(timezone, firedAt) }),
      });
      // Temporal forgets workflows after its retention and would then run a moment of the past again.
      if (isRunEnded(run.status)) throw new DownbeatError("CONFLICT", `run ${id} has ended already`);
      return { ...CURRENT_MANNER, run: runFacts(run), plan: await guardedPlan(compiled, guardedConnections), params: run.params };
    });
