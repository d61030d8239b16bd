// `npm run deploy`: sends definitions, written in YAML, JSON or TypeScript, to Downbeat's API and says what became of each.

import { parseArgs } from "node:util";
import { DownbeatError } from "../core/errors.ts";
import type { Issue } from "../core/issues.ts";
import { ApiClient, ApiError } from "./api-client.ts";
import { runCommand } from "./command-line.ts";
import { parseConfig } from "./config.ts";
import { readDefinitionFile } from "./definition-file.ts";

const USAGE = `npm run deploy -- FILE… [--api URL] [--validate]

Saves the definitions as new versions; unchanged ones make none. A FILE is YAML, JSON, or a TypeScript module with export default pipeline({ … }).
Ends with 0 when all were taken, with 1 when a definition was refused, with 2 when it could not be asked.

  --api       default: http://127.0.0.1 with DOWNBEAT_PORT
  --validate  only checks, saves nothing

The API key is the one of the environment, DOWNBEAT_API_KEY.`;

interface Saved {
  readonly version: number;
  readonly created: boolean;
  readonly changed: readonly string[];
  /** Absent: the API is of an older build. */
  readonly warnings?: readonly Issue[];
}

interface Checked extends Pick<Saved, "warnings"> {
  readonly tasks: number;
}

/** The way editors and terminals link places: FILE:LINE:COLUMN. */
const describe = (file: string, { code, path, message, line, column }: Issue): string => {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return `${place} ${code}${path === "" ? "" : ` ${path}`}: ${message}`;
};

const issuesOf = (problem: unknown): readonly Issue[] => (problem as { readonly issues?: readonly Issue[] } | null)?.issues ?? [];

/** True: it was taken. */
const deploy = async (api: ApiClient, file: string, validateOnly: boolean): Promise<boolean> => {
  const { name, body, issues } = await readDefinitionFile(file);
  if (name === undefined) {
    for (const issue of issues) console.error(describe(file, issue));
    return false;
  }
  try {
    if (validateOnly) {
      const { tasks, warnings = [] } = await api.call<Checked>("POST", "/v1/pipelines/validate", body);
      console.log(`${name}: valid, ${tasks === 1 ? "1 task" : `${tasks} tasks`}`);
      for (const warning of warnings) console.error(`warning: ${describe(file, warning)}`);
      return true;
    }
    const { version, created, changed, warnings = [] } = await api.call<Saved>("PUT", `/v1/pipelines/${name}`, body);
    console.log(`${name}: version ${version}, ${created ? "new" : "unchanged"}`);
    for (const path of changed) console.log(`  changed: ${path}`);
    for (const warning of warnings) console.error(`warning: ${describe(file, warning)}`);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const found = issuesOf(error.problem);
    if (found.length === 0) throw error;
    for (const issue of found) console.error(describe(file, issue));
    return false;
  }
};

await runCommand(USAGE, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { api: { type: "string" }, validate: { type: "boolean", default: false } },
  });
  if (positionals.length === 0) throw new DownbeatError("CONFIG_INVALID", `no FILE was given\n\n${USAGE}`);
  const { port, apiKey } = parseConfig(process.env);
  const baseUrl = (values.api ?? `http://127.0.0.1:${port}`).replace(/\/+$/, "");
  const api = new ApiClient({ baseUrl, ...(apiKey === undefined ? {} : { apiKey }) });
  let allTaken = true;
  for (const file of positionals) {
    try {
      allTaken = (await deploy(api, file, values.validate)) && allTaken;
    } catch (error) {
      if (error instanceof DownbeatError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : "";
      throw new DownbeatError("HTTP_UNAVAILABLE", `${file} could not be sent to ${baseUrl}: ${reason}${cause}`, { cause: error });
    }
  }
  return allTaken;
});
