// The input of a user's own activity where that reads large outputs: runs know only that there are some.

import { activityInput } from "../core/activity-input.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { failing, isStoreAway } from "./failure.ts";
import { scopeOf, type VerbDeps } from "./verb.ts";

export const createRenderInput =
  (deps: Pick<VerbDeps, "findOutput">): DagActivities["renderInput"] =>
  (call) =>
    failing(async () => activityInput(call, await scopeOf(deps, call)).input, { passes: isStoreAway });
