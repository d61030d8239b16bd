// What every operator's function has in common: its dependencies, its task's configuration, its connections.

import type { Failpoint } from "../connectors/connector.ts";
import { NO_INTERVAL, renderTemplates, type Scope } from "../core/expression.ts";
import type { Json, JsonObject } from "../core/json.ts";
import { type OutputReference, referenceOf, type TaskMetrics, type TaskResult } from "../core/run-changes.ts";
import type { TaskCall } from "../workflows/ports.ts";
import type { OpenConnection, OpenedConnection } from "./connections.ts";
import type { VerbContext } from "./run-verb.ts";

export type Verb = (call: TaskCall, context: VerbContext) => Promise<TaskResult>;

export interface VerbDeps {
  /** A task's operator configuration as compiled, cached: plans never change. */
  readonly findConfig: (planHash: string, taskId: string) => Promise<JsonObject>;
  readonly openConnection: OpenConnection;
  /** An output that went by reference. */
  readonly findOutput: (place: OutputReference["$output"]) => Promise<Json>;
  /** Named places where the process may be killed on purpose; does nothing unless configured. */
  readonly failpoint: Failpoint;
  /** Copies where a load stands into the store, for lists; the destination keeps the truth. */
  readonly recordLoad: (load: LoadCopy) => Promise<void>;
  /** Lets a running task's figures be seen before it ends. */
  readonly showMetrics: (task: { readonly runId: string; readonly taskId: string }, metrics: TaskMetrics) => Promise<void>;
}

export interface LoadCopy {
  readonly key: string;
  readonly runId: string;
  readonly position: Json;
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

/** The task's configuration with its expressions evaluated. */
export const renderedConfig = async <Config>(deps: Pick<VerbDeps, "findConfig" | "findOutput">, call: TaskCall): Promise<Config> => {
  const config = await deps.findConfig(call.planHash, call.taskId);
  return renderTemplates(config, await scopeOf(deps, call)) as Config;
};

/** What the call's expressions may read, with outputs that went by reference looked up. */
export const scopeOf = async (
  { findOutput }: Pick<VerbDeps, "findOutput">,
  call: Pick<TaskCall, "run" | "params" | "tasks" | "each"> & Partial<Pick<TaskCall, "attempt">>,
): Promise<Scope> => {
  const tasks: Record<string, TaskCall["tasks"][string]> = {};
  for (const [id, { status, output }] of Object.entries(call.tasks)) {
    const place = referenceOf(output)?.$output;
    tasks[id] = { status, output: place === undefined ? output : await findOutput(place) };
  }
  return {
    params: call.params,
    run: { interval: NO_INTERVAL, ...call.run, ...(call.attempt === undefined ? {} : { attempt: call.attempt }) },
    tasks,
    ...(call.each === undefined ? {} : { each: call.each }),
  };
};

export const openFor = (deps: VerbDeps, name: string, context: VerbContext): Promise<OpenedConnection> =>
  deps.openConnection(name, { signal: context.signal, log: context.log, progress: context.heartbeat });

/** Values that definitions bind to `:name` parameters. */
export type SqlParams = Readonly<Record<string, Json>>;
