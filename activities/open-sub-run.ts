// Writes down the run of another pipeline that a task starts: its version, its params, and which task it belongs to.

import { DownbeatError } from "../core/errors.ts";
import { workKey } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { CURRENT_MANNER } from "../core/run-manner.ts";
import { pauseText, type Definitions } from "../store/definitions.ts";
import { runFacts } from "../store/run-facts.ts";
import type { Runs } from "../store/runs.ts";
import type { DagActivities, OpenedSubRun, OpenSubRunCall } from "../workflows/ports.ts";
import { failing, isStoreAway } from "./failure.ts";
import { renderedConfig, type VerbDeps } from "./verb.ts";

export interface OpenSubRunDeps {
  readonly findVersion: Definitions["find"];
  readonly createRun: Runs["create"];
  readonly findRun: Runs["find"];
  readonly firstStartedBy: Runs["firstStartedBy"];
  /** Fills in defaults; throws PARAMS_INVALID. */
  readonly checkParams: (schema: JsonObject | undefined, hash: string, given: JsonObject) => JsonObject;
}

interface PipelineConfig {
  readonly name: string;
  readonly version?: number;
  readonly params: JsonObject;
}

export const createOpenSubRun =
  (deps: OpenSubRunDeps & Pick<VerbDeps, "findConfig" | "findOutput">): DagActivities["openSubRun"] =>
  (call) =>
    failing(() => openSubRun(deps, call), { passes: isStoreAway });

/** Safe to repeat. Throws NOT_FOUND, PARAMS_INVALID, CONFLICT and what expressions and the store throw. */
export const openSubRun = async (
  deps: OpenSubRunDeps & Pick<VerbDeps, "findConfig" | "findOutput">,
  call: OpenSubRunCall,
): Promise<OpenedSubRun> => {
  const { name, version: wanted, params: given } = await renderedConfig<PipelineConfig>(deps, call);
  const depth = (call.run.depth ?? 0) + 1;
  if (depth > LIMITS.runDepth)
    throw new DownbeatError(
      "CONFLICT",
      `pipeline "${name}" would be the ${depth}th run inside another; the limit is ${LIMITS.runDepth}: does it run itself?`,
    );
  const version = await deps.findVersion(name, wanted ?? (await fixedVersion(deps, call, name)));
  if (version === undefined)
    throw new DownbeatError(
      "NOT_FOUND",
      `there is no pipeline "${name}"${wanted === undefined ? "" : ` with a version ${wanted}`}; deploy it first`,
    );
  if (version.paused !== null) throw new DownbeatError("PIPELINE_PAUSED", pauseText(name, version.paused));
  const params = deps.checkParams(version.definition["params"] as JsonObject | undefined, version.hash, given);
  const { run } = await deps.createRun({
    id: [call.run.id, call.taskId, call.tries, ...(call.item === undefined ? [] : [call.item, call.attempt])].join("."),
    pipeline: name,
    version: version.version,
    planHash: version.hash,
    // The same for every attempt: what one has committed is not committed again by the next.
    origin: `${call.run.origin}.${workKey(call.taskId, call.itemKey)}`,
    trigger: "pipeline",
    params,
    parent: { runId: call.run.id, taskId: call.taskId, depth },
  });
  const { priority } = call;
  return { ...CURRENT_MANNER, run: { ...runFacts(run), ...(priority === undefined ? {} : { priority }) }, planHash: run.planHash };
};

/** What the task's first run of the pipeline had, further tries and items have as well: also in reruns of the same version. Undefined: this is the first. */
const fixedVersion = async (deps: OpenSubRunDeps, { run, taskId }: OpenSubRunCall, pipeline: string): Promise<number | undefined> => {
  let runId = run.id;
  for (;;) {
    const first = await deps.firstStartedBy({ runId, taskId }, pipeline);
    if (first !== undefined) return first.version;
    const rerun = run.trigger === "rerun" ? (await deps.findRun(runId))?.rerun : undefined;
    if (rerun?.original !== true) return undefined;
    runId = rerun.of;
  }
};
