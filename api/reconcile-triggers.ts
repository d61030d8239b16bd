// Keeps the durable owners of event triggers as the store says: those that are missing are started, changes told, what is left over ended.

import { triggerWorkflowId } from "../core/ids.ts";
import { settingsOf } from "../store/take-event.ts";
import type { TriggerRecord } from "../store/triggers.ts";
import type { ApiDeps } from "./deps.ts";
import { applyNamed, type Named, reconcileNamed } from "./reconcile-named.ts";

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

const triggersOf = ({ store, orchestrator: { triggers }, log }: Deps): Named<TriggerRecord> => ({
  kind: "trigger",
  idOf: triggerWorkflowId,
  inStore: store.triggers,
  inTemporal: { ...triggers, ensure: (record) => triggers.ensure(settingsOf(record)) },
  log,
});

/** One round over all triggers; answers how many it put right. Any number of processes may do this at once. */
export const reconcileTriggers = (deps: Deps): Promise<number> => reconcileNamed(triggersOf(deps));

/** The same for one pipeline, right after it was deployed. Leaves to the next round what cannot be done now. */
export const applyTriggers = (deps: Deps, pipeline: string, dropped: readonly string[]): Promise<void> =>
  applyNamed(triggersOf(deps), pipeline, dropped);
