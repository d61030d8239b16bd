// The file verb over real connections, one call at a time.

import { createConnectionOpener } from "../../activities/connections.ts";
import { createFile } from "../../activities/file.ts";
import type { FileHost } from "../../activities/open-files.ts";
import type { VerbDeps } from "../../activities/verb.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import type { JsonObject } from "../../core/json.ts";
import { fileSchema } from "../../core/operators.ts";
import type { TaskResult } from "../../core/run-changes.ts";
import type { TaskCall } from "../../workflows/ports.ts";

export interface FileCallOptions {
  readonly params?: JsonObject;
  readonly call?: Partial<Pick<TaskCall, "attempt" | "taskId" | "itemKey">>;
  readonly run?: Partial<TaskCall["run"]>;
  readonly lostAttempts?: number;
  readonly signal?: AbortSignal;
}

export type CallFile = (config: JsonObject, options?: FileCallOptions) => Promise<TaskResult>;

const silent = (): void => undefined;

/** `connections`: kind and configuration by name. */
export const fileVerb = (
  files: FileHost,
  tempRoot: string,
  connections: Readonly<Record<string, { readonly kind: string; readonly config: JsonObject }>>,
): CallFile => {
  return (config, { params = {}, call = {}, run = {}, lostAttempts = 0, signal = new AbortController().signal } = {}) => {
    const openConnection = createConnectionOpener({
      findConnection: (name) => Promise.resolve(connections[name] && { name, ...connections[name] }),
      findSpec: (kind) => builtinConnectors.find((spec) => spec.kind === kind),
      resolveSecret: () => Promise.reject(new Error("no references here")),
      tempRoot,
      ...files,
    });
    const deps = {
      findConfig: () => Promise.resolve(fileSchema.parse(config) as unknown as JsonObject),
      findOutput: () => Promise.resolve(null),
      openConnection,
      files,
    } as unknown as VerbDeps & { readonly files: FileHost };
    const facts = {
      id: "r1",
      origin: "r1",
      pipeline: "shop",
      version: 1,
      trigger: "test",
      triggeredAt: "2026-01-01T00:00:00.000Z",
      ...run,
    };
    return createFile(deps)(
      { run: facts, planHash: "hash", taskId: "files", attempt: 1, params, tasks: {}, timeoutMs: 60_000, ...call },
      { signal, log: { debug: silent, info: silent, warn: silent }, heartbeat: silent, tell: silent, lostAttempts },
    );
  };
};
