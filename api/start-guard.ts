// Whether a run may be started at all, before there is one: by whoever asks for it and can be told why not.

import { DownbeatError } from "../core/errors.ts";
import { pauseText } from "../store/definitions.ts";
import type { VersionRecord } from "../store/definitions.ts";
import type { Store } from "../store/open-store.ts";

/**
 * Throws PIPELINE_PAUSED unless `force`, and CONCURRENCY_LIMIT where the strategy is `skip` and as many runs go on as may. Two requests at the same moment may
 * both pass: the run that then finds no place ends by itself. A repeated request whose run is there already is not asked.
 */
export const refuseStart = async ({ runs }: Pick<Store, "runs">, version: VersionRecord, runId: string, force: boolean): Promise<void> => {
  const { pipeline, paused, plan } = version;
  const { concurrency } = plan.plan;
  const isPaused = paused !== null && !force;
  if (!isPaused && concurrency?.strategy !== "skip") return;
  if ((await runs.find(runId)) !== undefined) return;
  if (isPaused) {
    const { by, why, at } = paused;
    throw new DownbeatError("PIPELINE_PAUSED", `${pauseText(pipeline, paused)}; resume it, or ask with force`, {
      details: { by, why: why ?? null, at },
    });
  }
  if (concurrency === undefined) return;
  const open = await runs.countOpen(pipeline);
  if (open < concurrency.maxRuns) return;
  throw new DownbeatError(
    "CONCURRENCY_LIMIT",
    `${open} ${open === 1 ? "run" : "runs"} of "${pipeline}" ${open === 1 ? "goes" : "go"} on and max_runs is ${concurrency.maxRuns}; its strategy is to skip further ones`,
    { details: { open, max_runs: concurrency.maxRuns } },
  );
};
