// Whether an action on a run was carried out before, under the caller's key: also after the run has ended.

import { actedKey, type Keyed, keyReused, keyUse } from "../core/acted-keys.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Runs } from "../store/runs.ts";

/** Throws IDEMPOTENCY_KEY_REUSED where another request was carried out under it. */
export const isRepetition = async (runs: Pick<Runs, "actionsOf">, runId: string, keyed: Keyed | undefined): Promise<boolean> => {
  if (keyed === undefined) return false;
  const acted = (await runs.actionsOf(runId)).flatMap(({ key, requestHash }) =>
    key === null ? [] : [actedKey({ key, ...(requestHash === null ? {} : { requestHash }) })],
  );
  const use = keyUse(acted, keyed);
  if (use === "other") throw new DownbeatError("IDEMPOTENCY_KEY_REUSED", keyReused(keyed.key));
  return use === "same";
};
