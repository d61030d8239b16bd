// Items that the workflow itself carries out, one by one: read from the store before, written there after.

import { activityInput } from "../core/activity-input.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Items } from "../store/items.ts";
import type { DagActivities, ItemRef, OpenedSubRun, OpenSubRunCall } from "../workflows/ports.ts";
import { failing, isStoreAway } from "./failure.ts";
import { keepOutput } from "./run-verb.ts";
import { scopeOf, type VerbDeps } from "./verb.ts";

export interface SingleItemDeps extends Pick<VerbDeps, "findOutput"> {
  readonly items: Items;
  readonly openSubRun: (call: OpenSubRunCall) => Promise<OpenedSubRun>;
}

/** A store that is away is asked again; everything else is the item's own failure. */
const storeFirst = <Value>(work: () => Promise<Value>): Promise<Value> => failing(work, { passes: isStoreAway });

const placeOf = ({ run, taskId }: ItemRef) => ({ runId: run.id, taskId });

export const createSingleItems = (deps: SingleItemDeps): Pick<DagActivities, "openItem" | "recordItem"> => ({
  openItem: (call) =>
    storeFirst(async () => {
      const [found] = await deps.items.find(placeOf(call), [call.item]);
      if (found === undefined) throw new DownbeatError("INTERNAL", `task "${call.taskId}" has no item ${call.item}`);
      if (found.status === "succeeded") return {};
      const { task, ...rest } = call;
      const own = { ...rest, each: found.values, itemKey: found.key };
      const { priority = call.run.priority } = task;
      if (task.operator === "pipeline") return { run: await deps.openSubRun({ ...own, ...(priority === undefined ? {} : { priority }) }) };
      const { input } = activityInput(task, await scopeOf(deps, own));
      return { activity: { input } };
    }),

  recordItem: (item, { output, ...end }) =>
    storeFirst(async () => {
      // Nowhere to save: an item has no place for a large one.
      const kept = output === undefined ? {} : await keepOutput({ output }, undefined, {});
      await deps.items.record(placeOf(item), [{ ...end, ...kept, item: item.item, attempts: item.attempt }]);
    }),
});
