// What a user would do, over plain HTTP: create connections, check them, deploy the pipeline, trigger it, follow the run.

import { readFileSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import type { ApiClient, RunView, TaskView } from "../api-client.ts";

export interface ConnectionInput {
  readonly name: string;
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
}

const PIPELINE_FILE = path.resolve(import.meta.dirname, "../../examples/commerce/pipeline.yaml");

/** The example's own pipeline under another name, with its `warehouse` connection replaced: one pipeline per warehouse. */
export const pipelineFor = (name: string, warehouse: string): string => {
  const definition = parse(readFileSync(PIPELINE_FILE, "utf8")) as Record<string, unknown>;
  const renamed = JSON.parse(
    JSON.stringify({ ...definition, name }).replaceAll('"connection":"warehouse"', `"connection":"${warehouse}"`),
  ) as unknown;
  return stringify(renamed, { lineWidth: 0 });
};

export const createConnections = async (
  api: ApiClient,
  connections: readonly ConnectionInput[],
  say: (line: string) => void,
): Promise<void> => {
  for (const { name, kind, config } of connections) {
    await api.call("PUT", `/v1/connections/${name}`, { kind, config });
    const check = await api.call<{ readonly ok: boolean; readonly error?: { readonly message: string } }>(
      "POST",
      `/v1/connections/${name}/check`,
    );
    if (!check.ok) throw new Error(`connection ${name} does not work: ${check.error?.message}`);
    say(`  connection ${name} (${kind}): ok`);
  }
};

export const deploy = async (api: ApiClient, name: string, warehouse: string, say: (line: string) => void): Promise<void> => {
  const saved = await api.call<{ readonly version: number; readonly hash: string }>(
    "PUT",
    `/v1/pipelines/${name}`,
    pipelineFor(name, warehouse),
  );
  say(`  pipeline ${name}: version ${saved.version} (${saved.hash.slice(0, 12)})`);
};

export const triggerAndFollow = async (
  api: ApiClient,
  pipeline: string,
  key: string,
  say: (line: string) => void,
  onPoll: (run: RunView) => void,
): Promise<RunView> => {
  const started = await api.call<{ readonly id: string }>(
    "POST",
    `/v1/pipelines/${pipeline}/runs`,
    { params: {} },
    { "idempotency-key": key },
  );
  const begin = Date.now();
  const tell = (task: TaskView): void => {
    if (task.status === "pending") return;
    const attempts = task.attempts > 1 ? ` (attempt ${task.attempts})` : "";
    const error = task.error === null ? "" : `: ${task.error.code} ${task.error.message}`;
    say(`  ${String(Math.round((Date.now() - begin) / 1000)).padStart(4)} s  ${task.id} ${task.status}${attempts}${error}`);
  };
  const run = await api.followRun(started.id, tell, onPoll);
  if (run.status !== "succeeded") throw new Error(`run ${run.id} of ${pipeline} ended ${run.status}`);
  return run;
};
