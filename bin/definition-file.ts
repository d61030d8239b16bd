// A definition in a file: YAML or JSON as text, or a TypeScript module whose default export is one.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { checkDefinition, parseDefinition } from "../core/definition.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Issue } from "../core/issues.ts";

/** What the API takes: text as it was written, or a value. `name` is undefined where there are issues. */
export interface DefinitionFile {
  readonly body: unknown;
  readonly name: string | undefined;
  readonly issues: readonly Issue[];
}

const MODULE = /\.[cm]?[jt]s$/;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const malformed = (message: string): DefinitionFile => ({
  body: undefined,
  name: undefined,
  issues: [{ code: "DEFINITION_MALFORMED", path: "", message }],
});

/** Throws NOT_FOUND when there is no such file; everything that is wrong with the definition itself is an issue. */
export const readDefinitionFile = async (file: string): Promise<DefinitionFile> => {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new DownbeatError("NOT_FOUND", `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  if (!MODULE.test(file)) {
    const parsed = parseDefinition(text);
    return parsed.ok ? { body: text, name: parsed.definition.name, issues: [] } : { body: text, name: undefined, issues: parsed.issues };
  }
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = (await import(pathToFileURL(path.resolve(file)).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    return malformed(`the module cannot be loaded: ${messageOf(error)}`);
  }
  if (!("default" in exported)) return malformed("the module has no default export; write: export default pipeline({ … })");
  let body: unknown;
  try {
    // What a request would carry: without keys that are undefined.
    body = JSON.parse(JSON.stringify(exported["default"] ?? null));
  } catch (error) {
    return malformed(`the module's default export is no JSON: ${messageOf(error)}`);
  }
  const checked = checkDefinition(body);
  return checked.ok ? { body, name: checked.definition.name, issues: [] } : { body, name: undefined, issues: checked.issues };
};
