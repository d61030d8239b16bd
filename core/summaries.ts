// One line for people about what a task does.

import type { TaskDefinition } from "./definition.ts";
import type { FileConfig, WaitConfig } from "./operators.ts";

const SUMMARY_LENGTH = 200;

/** Shown in Temporal's UI and in lists. */
export const summaryOf = (task: TaskDefinition): string => `${task.id}: ${workOf(task)}`.slice(0, SUMMARY_LENGTH);

const workOf = ({ transfer, sql, http, check, publish, command, file, activity, wait, approval, pipeline }: TaskDefinition): string => {
  if (transfer !== undefined) {
    const { from, to } = transfer;
    return `${from.connection}.${from.stream ?? "query"} → ${to.connection}.${to.table}`;
  }
  if (sql !== undefined) return `SQL on ${sql.connection}`;
  if (http !== undefined) return `${http.method} ${http.connection}${http.path ?? ""}`;
  if (check !== undefined) return `${check.expect.length} checks on ${check.connection}.${check.table ?? "query"}`;
  if (publish !== undefined) return `${publish.from.connection} → ${publish.to.connection}`;
  if (command !== undefined) return `runs ${command.run.join(" ")}`;
  if (file !== undefined) return fileWork(file);
  if (wait !== undefined) return `waits ${waitedFor(wait)}`;
  if (approval !== undefined) return `approval${approval.message === undefined ? "" : `: ${approval.message}`}`;
  if (pipeline !== undefined) return `pipeline ${pipeline.name}${pipeline.version === undefined ? "" : ` v${pipeline.version}`}`;
  return `activity ${activity?.name ?? ""}`;
};

const fileWork = ({ action, from, to }: FileConfig): string => {
  const place = (connection: string | undefined, path = ""): string => (connection === undefined ? path : `${connection}/${path}`);
  const what = `${action} ${place(from.connection, from.path ?? from.glob)}`;
  return to === undefined ? what : `${what} → ${place(to.connection, to.path)}`;
};

const waitedFor = (wait: WaitConfig): string => {
  if (wait.until !== undefined) return `until ${wait.until}`;
  if (wait.for !== undefined) return wait.for;
  if (wait.sql !== undefined) return `for SQL on ${wait.sql.connection}`;
  if (wait.file !== undefined)
    return `for ${wait.file.connection === undefined ? "" : `${wait.file.connection}: `}${wait.file.path ?? wait.file.glob ?? ""}`;
  if (wait.asset !== undefined) return `for ${wait.asset.name}`;
  return `for ${wait.http?.connection ?? ""}${wait.http?.path ?? ""}`;
};
