// Items that the workflow itself carries out, one by one: read from the store before, written there after.

import { DownbeatError } from "../core/errors.ts";
import { renderTemplates } from "../core/expression.ts";
import { storable, type Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { Items } from "../store/items.ts";
import type { DagActivities, ItemCall, OpenedSubRun, OpenSubRunCall } from "../workflows/ports.ts";
import { failing, isStoreAway } from "./failure.ts";
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

  recordItem: (call, end) =>
    storeFirst(() => deps.items.record(placeOf(call), [{ ...end, item: call.item, attempts: call.attempt, ...outputOf(end.output) }])),
});

/** Throws OUTPUT_TOO_LARGE: items have no place for large ones. */
const outputOf = (output: Json | undefined): { readonly output?: Json } => {
  if (output === undefined) return {};
  const text = JSON.stringify(output);
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.outputBytes) {
    const message = `the item's output is ${bytes} bytes of JSON; the limit is ${LIMITS.outputBytes}; return less, or write it to a table`;
    throw new DownbeatError("OUTPUT_TOO_LARGE", message);
  }
  return { output: storable(output, text) };
};
