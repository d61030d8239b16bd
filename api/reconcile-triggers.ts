// Keeps the durable owners of event triggers as the store says: those that are missing are started, changes told, what is left over ended.

import { isSystemFault } from "../core/errors.ts";
import { triggerWorkflowId, type TriggerRef } from "../core/ids.ts";
import { settingsOf } from "../store/take-event.ts";
import type { TriggerRecord } from "../store/triggers.ts";
import type { ApiDeps } from "./deps.ts";

type Deps = Pick<ApiDeps, "store" | "orchestrator" | "log">;

const PAGE = 200;

async function* triggersOf({ store }: Pick<Deps, "store">, pipeline?: string): AsyncGenerator<TriggerRecord> {
  for (let after: TriggerRef | undefined; ; ) {
    const page = await store.triggers.list({
      limit: PAGE,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(after === undefined ? {} : { after }),
    });
    yield* page;
    after = page.at(-1);
    if (page.length < PAGE || after === undefined) return;
  }
}

/** One that cannot be put right must not keep the others waiting; a service that is away ends the round. */
const safely = async ({ log }: Deps, ref: TriggerRef, work: () => Promise<boolean>): Promise<boolean> => {
  try {
    const done = await work();
    if (done) log.info({ trigger: triggerWorkflowId(ref) }, "made the owner of a trigger as the store says");
    return done;
  } catch (error) {
    if (isSystemFault(error)) throw error;
    log.error({ err: error, trigger: triggerWorkflowId(ref) }, "a trigger could not be put right");
    return false;
  }
};

const ensure = (deps: Deps, record: TriggerRecord): Promise<boolean> =>
  safely(deps, record, async () => (await deps.orchestrator.triggers.ensure(settingsOf(record))) !== "kept");

const remove = (deps: Deps, ref: TriggerRef): Promise<boolean> =>
  safely(deps, ref, async () => {
    // Asked once more: it may have been deployed since the list was made.
    if ((await deps.store.triggers.find(ref)) !== undefined) return false;
    return deps.orchestrator.triggers.remove(ref);
  });

/** One round over all triggers; answers how many it put right. Any number of processes may do this at once. */
export const reconcileTriggers = async (deps: Deps): Promise<number> => {
  const found = await deps.orchestrator.triggers.list();
  const known = new Set<string>();
  let repaired = 0;
  for await (const record of triggersOf(deps)) {
    known.add(triggerWorkflowId(record));
    if (await ensure(deps, record)) repaired += 1;
  }
  for (const ref of found) if (!known.has(triggerWorkflowId(ref)) && (await remove(deps, ref))) repaired += 1;
  return repaired;
};

/** The same for one pipeline, right after it was deployed. Leaves to the next round what cannot be done now. */
export const applyTriggers = async (deps: Deps, pipeline: string, dropped: readonly string[]): Promise<void> => {
  try {
    for await (const record of triggersOf(deps, pipeline)) await ensure(deps, record);
    for (const name of dropped) await remove(deps, { pipeline, name });
  } catch (error) {
    deps.log.warn({ err: error, pipeline }, "triggers are not in Temporal yet; it is tried again");
  }
};
