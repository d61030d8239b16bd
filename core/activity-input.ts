// What a user's own activity is called with.

import { DownbeatError } from "./errors.ts";
import { renderTemplates, type Scope } from "./expression.ts";
import type { Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { PlanTask } from "./plan.ts";

/** Throws EXPRESSION_FAILED, also where the input is larger than it may be. */
export const activityInput = ({ activity }: Pick<PlanTask, "activity">, scope: Scope): { readonly input: Json; readonly bytes: number } => {
  const { name, input: template } = activity ?? { name: "", input: null };
  const input = renderTemplates(template, scope);
  const bytes = JSON.stringify(input).length;
  if (bytes > LIMITS.activityInputBytes) {
    const message = `the input of activity "${name}" is ${bytes} bytes of JSON with its expressions evaluated; the limit is ${LIMITS.activityInputBytes}`;
    throw new DownbeatError("EXPRESSION_FAILED", message);
  }
  return { input, bytes };
};
