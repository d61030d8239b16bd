// Deploys examples/quickstart over HTTP, triggers it, and shows what a user would look at.

import { readFileSync } from "node:fs";
import path from "node:path";
import { ApiClient, type RunView, type TaskView } from "./api-client.ts";
import type { Say } from "./services/say.ts";
import { formatTable, grouped } from "./table.ts";

const FOLDER = path.resolve(import.meta.dirname, "../examples/quickstart");
const PIPELINE = "quickstart";

interface ConnectionFile {
  readonly [name: string]: { readonly kind: string; readonly config: Readonly<Record<string, unknown>> };
}

/** Answers whether the run succeeded. */
export const runQuickstart = async (baseUrl: string, apiKey: string | undefined, say: Say): Promise<boolean> => {
  const api = new ApiClient({ baseUrl, ...(apiKey === undefined ? {} : { apiKey }) });
  const text = readFileSync(path.join(FOLDER, "connections.json"), "utf8").replaceAll("${EXAMPLE}", FOLDER);
  for (const [name, connection] of Object.entries(JSON.parse(text) as ConnectionFile))
    await api.call("PUT", `/v1/connections/${name}`, connection);
  const saved = await api.call<{ readonly version: number }>(
    "PUT",
    `/v1/pipelines/${PIPELINE}`,
    readFileSync(path.join(FOLDER, "pipeline.yaml"), "utf8"),
  );
  say(`deployed ${PIPELINE} version ${saved.version}; triggering it`);
  const { id } = await api.call<{ readonly id: string }>("POST", `/v1/pipelines/${PIPELINE}/runs`, {});
  const run = await api.followRun(id, (task) => {
    if (task.status !== "pending")
      say(`  ${task.id}: ${task.status}${task.error === null ? "" : ` (${task.error.code}: ${task.error.message})`}`);
  });
  say("");
  say(formatTable(["task", "stream", "rows", "bytes", "seconds", "check"], run.tasks.map(row)));
  say("");
  say(`run ${run.status}`);
  say(`  reference  ${baseUrl}/reference`);
  say(`  run        ${baseUrl}${run.links["self"] ?? ""}`);
  if (run.links["temporal"] !== undefined) say(`  Temporal   ${run.links["temporal"]}`);
  return run.status === "succeeded";
};

const row = (task: RunView["tasks"][number]): readonly string[] => {
  const output = (task.output ?? {}) as { readonly stream?: string; readonly table?: string; readonly passed?: number };
  const figure = (value: number | undefined): string => (value === undefined ? "" : grouped(value));
  return [
    task.id,
    output.stream ?? output.table ?? "",
    figure(task.metrics?.rows),
    figure(task.metrics?.bytes),
    task.metrics?.seconds === undefined ? "" : task.metrics.seconds.toFixed(2),
    checkCell(task, output.passed),
  ];
};

const checkCell = (task: TaskView, passed: number | undefined): string => (passed === undefined ? task.status : `${passed} passed`);
