// Items that the workflow itself carries out, one by one: read from the store before, written there after.

import { DownbeatError } from "../core/errors.ts";
import { renderTemplates } from "../core/expression.ts";
import type { Items } from "../store/items.ts";
import type { DagActivities, ItemCall, OpenedSubRun, OpenSubRunCall } from "../workflows/ports.ts";
import { failing, isStoreAway } from "./failure.ts";
import { keepOutput } from "./run-verb.ts";
import { scopeOf, type VerbDeps } from "./verb.ts";

export interface SingleItemDeps extends Pick<VerbDeps, "findOutput"> {
  readonly items: Items;
  readonly openSubRun: (call: OpenSubRunCall) => Promise<OpenedSubRun>;
}

/** A store that is away is asked again; everything else is the item's own failure. */
const storeFirst = <Value>(work: () => Promise<Value>): Promise<Value> => failing(work, { passes: isStoreAway });

const placeOf = ({ run, taskId }: ItemCall) => ({ runId: run.id, taskId });

export const createSingleItems = (deps: SingleItemDeps): Pick<DagActivities, "openItem" | "recordItem"> => ({
  openItem: (call) =>
    storeFirst(async () => {
      const [found] = await deps.items.find(placeOf(call), [call.item]);
      if (found === undefined) throw new DownbeatError("INTERNAL", `task "${call.taskId}" has no item ${call.item}`);
      if (found.status === "succeeded") return {};
      const { task, ...rest } = call;
      const own = { ...rest, each: found.values, itemKey: found.key };
      if (task.operator === "pipeline") return { run: await deps.openSubRun(own) };
      return { activity: { input: renderTemplates(task.activity?.input ?? null, await scopeOf(deps, own)) } };
    }),

  recordItem: (call, { output, ...end }) =>
    storeFirst(async () => {
      // Nowhere to save: an item has no place for a large one.
      const kept = output === undefined ? {} : await keepOutput({ output }, { ...call, itemKey: String(call.item) }, {});
      await deps.items.record(placeOf(call), [{ ...end, ...kept, item: call.item, attempts: call.attempt }]);
    }),
});
