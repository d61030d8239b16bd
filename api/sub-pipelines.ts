// What a definition says of other pipelines that its tasks run, checked as far as can be known when it is deployed.

import type { Definition } from "../core/definition.ts";
import { collectIssues, type Issue, type Locate } from "../core/issues.ts";
import { isTemplate } from "../core/templates.ts";
import type { Store } from "../store/open-store.ts";

/** No faults: the other pipeline may be deployed after this one, and is looked for when the task begins. */
export const warnOfSubPipelines = async (
  { definitions }: Pick<Store, "definitions">,
  { name: own, tasks }: Definition,
  locate: Locate,
): Promise<readonly Issue[]> => {
  const { issues, fault } = collectIssues(locate);
  const known = new Map<string, boolean>();
  for (const [position, { id, pipeline }] of tasks.entries()) {
    if (pipeline === undefined || isTemplate(pipeline.name)) continue;
    const { name, version } = pipeline;
    if (name === own && version === undefined) continue;
    const key = `${name} ${version}`;
    const exists = known.get(key) ?? (await definitions.find(name, version)) !== undefined;
    known.set(key, exists);
    if (exists) continue;
    const what = version === undefined ? `pipeline "${name}"` : `version ${version} of pipeline "${name}"`;
    const path = ["tasks", position, "pipeline", version === undefined ? "name" : "version"];
    fault("UNKNOWN_PIPELINE", path, `there is no ${what} yet; task "${id}" fails with NOT_FOUND if there is none when it begins`);
  }
  return issues;
};
