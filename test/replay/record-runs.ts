// Makes the runs of plans.ts, and takes their histories with those of the workflows that they start and write to.

import type { Engine } from "../workflow/engine.ts";
import type { RecordedHistory } from "./histories.ts";
import { RECORDED } from "./plans.ts";

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
  const own = { name, history: await run.handle.fetchHistory() };
  const others = related(own.history).map(async (id, index) => {
    const history = await engine.client.workflow.getHandle(id).fetchHistory();
    const type = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? "";
    return { name: `${name}.${index + 1}-${type}`, history };
  });
  return [own, ...(await Promise.all(others))];
};

export const recordRuns = async (engine: Engine): Promise<readonly RecordedHistory[]> =>
  (await Promise.all(Object.keys(RECORDED).map((name) => recordRun(engine, name)))).flat();
