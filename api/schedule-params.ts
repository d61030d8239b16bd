// The params of a definition's schedules against its own JSON Schema, before any run needs them.

import type { Definition } from "../core/definition.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Issue, Locate } from "../core/issues.ts";
import type { JsonObject } from "../core/json.ts";
import { contentHash } from "./hash.ts";
import { checkParams } from "./params.ts";
import { IssuesError } from "./problem.ts";

/** Defaults are filled in; what does not fit comes as issues of the definition. */
export const checkScheduleParams = (
  given: readonly JsonObject[],
  definition: Definition,
  locate: Locate,
): { readonly params: readonly JsonObject[]; readonly issues: readonly Issue[] } => {
  const issues: Issue[] = [];
  const schema = definition.params as JsonObject | undefined;
  const hash = given.length === 0 ? "" : contentHash(definition);
  const params = given.map((one, index) => {
    try {
      return checkParams(schema, hash, one);
    } catch (error) {
      if (!(error instanceof DownbeatError)) throw error;
      const found =
        error instanceof IssuesError ? error.issues : [{ code: "INVALID_VALUE" as const, path: "params", message: error.message }];
      for (const issue of found) {
        const key = /^params\.([^.[]+)/.exec(issue.path)?.[1];
        const place = locate(["schedules", index, "params", ...(key === undefined ? [] : [key])]);
        issues.push({ ...issue, path: `schedules[${index}].${issue.path}`, ...place });
      }
      return one;
    }
  });
  return { params, issues };
};
