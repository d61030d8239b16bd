// What every operator's function has in common: its dependencies, its task's configuration, its connections.

import type { Failpoint } from "../connectors/connector.ts";
import { NO_INTERVAL, renderTemplates } from "../core/expression.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { TaskResult } from "../core/run-changes.ts";
import type { TaskCall } from "../workflows/ports.ts";
import type { OpenConnection, OpenedConnection } from "./connections.ts";
import type { VerbContext } from "./run-verb.ts";

export type Verb = (call: TaskCall, context: VerbContext) => Promise<TaskResult>;

export interface VerbDeps {
  /** A task's operator configuration as compiled, cached: plans never change. */
  readonly findConfig: (planHash: string, taskId: string) => Promise<JsonObject>;
  readonly openConnection: OpenConnection;
  /** Named places where the process may be killed on purpose; does nothing unless configured. */
  readonly failpoint: Failpoint;
  /** Copies where a load stands into the store, for lists; the destination keeps the truth. */
  readonly recordLoad: (load: FinishedLoad) => Promise<void>;
}

export interface FinishedLoad {
  readonly key: string;
  readonly runId: string;
  readonly position: Json;
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

/** The task's configuration with its expressions evaluated. */
export const renderedConfig = async <Config>(deps: VerbDeps, call: TaskCall): Promise<Config> => {
  const config = await deps.findConfig(call.planHash, call.taskId);
  const scope = { params: call.params, run: { interval: NO_INTERVAL, ...call.run, attempt: call.attempt }, tasks: call.tasks };
  return renderTemplates(config, scope) as Config;
};

export const openFor = (deps: VerbDeps, name: string, context: VerbContext): Promise<OpenedConnection> =>
  deps.openConnection(name, { signal: context.signal, log: context.log, progress: context.heartbeat });

/** Values that definitions bind to `:name` parameters. */
export type SqlParams = Readonly<Record<string, Json>>;
