// Makes the runs of plans.ts and plans-together.ts, and takes their histories with those of the workflows that they start and write to.

import { POOL_WORKFLOW } from "../../workflows/messages.ts";
import type { Engine, StartedRun } from "../workflow/engine.ts";
import type { RecordedHistory } from "./histories.ts";
import { RECORDED } from "./plans.ts";
import { TOGETHER } from "./plans-together.ts";

const related = ({ events }: RecordedHistory["history"]): readonly string[] => [
  ...new Set(
    (events ?? []).flatMap(
      ({ childWorkflowExecutionStartedEventAttributes: child, externalWorkflowExecutionSignaledEventAttributes: other }) => {
        const id = (child ?? other)?.workflowExecution?.workflowId;
        return typeof id === "string" ? [id] : [];
      },
    ),
  ),
];

const recordRun = async (engine: Engine, name: string): Promise<readonly RecordedHistory[]> => {
  const recorded = RECORDED[name];
  if (recorded === undefined) throw new Error(`plans.ts has no run "${name}"`);
  const run = await engine.start(recorded.plan, recorded.options);
  await recorded.act?.(run);
  await run.end();
  return withOthers(engine, name, run);
};

/** With what it has started and written to, and what that has started. */
const withOthers = async (engine: Engine, name: string, { id }: Pick<StartedRun, "id">): Promise<readonly RecordedHistory[]> => {
  const seen = new Set([id]);
  const histories: RecordedHistory[] = [];
  // A set gives what is added while it is gone through, too.
  for (const one of seen) {
    const history = await engine.client.workflow.getHandle(one).fetchHistory();
    const type = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? "";
    histories.push({ name: histories.length === 0 ? name : `${name}.${histories.length}-${type}`, history });
    // An owner of slots writes to runs that are recorded under names of their own.
    if (type !== POOL_WORKFLOW) for (const other of related(history)) seen.add(other);
  }
  return histories;
};

const recordTogether = async (engine: Engine, name: string): Promise<readonly RecordedHistory[]> => {
  const runs = (await TOGETHER[name]?.(engine)) ?? [];
  const recorded = runs.map(async (run, index) => {
    await run.end();
    return withOthers(engine, index === 0 ? name : `${name}.other-${index}`, run);
  });
  return (await Promise.all(recorded)).flat();
};

export const recordRuns = async (engine: Engine): Promise<readonly RecordedHistory[]> =>
  (
    await Promise.all([
      ...Object.keys(RECORDED).map((name) => recordRun(engine, name)),
      ...Object.keys(TOGETHER).map((name) => recordTogether(engine, name)),
    ])
  ).flat();
