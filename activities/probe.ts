// The probe verb: one look whether what a `wait` task waits for is there. Holds a worker for the look alone.

import { MOMENT_HINT, parseMoment } from "../core/duration.ts";
import { DownbeatError } from "../core/errors.ts";
import { deliveryKey } from "../core/ids.ts";
import type { Json } from "../core/json.ts";
import { toRows } from "../connectors/lib/rows.ts";
import type { Assets } from "../store/assets.ts";
import { roleOf } from "./connections.ts";
import type { VerbContext } from "./run-verb.ts";
import { findFiles, openFiles, type FileDeps, type FileSelection } from "./open-files.ts";
import { openFor, renderedConfig, type SqlParams, type Verb, type VerbDeps } from "./verb.ts";

interface ProbeConfig {
  readonly sql?: { readonly connection: string; readonly query: string; readonly params?: SqlParams };
  readonly file?: FileSelection;
  readonly asset?: { readonly name: string; readonly newer_than: string };
  readonly http?: {
    readonly connection: string;
    readonly method: string;
    readonly path?: string;
    readonly query?: Readonly<Record<string, string>>;
    readonly status: readonly number[];
  };
}

export interface ProbeDeps extends FileDeps {
  readonly findAsset: Assets["find"];
}

export const createProbe = (deps: ProbeDeps): Verb => {
  return async (call, context) => {
    const { sql, http, file, asset } = await renderedConfig<ProbeConfig>(deps, call);
    if (sql !== undefined) return { output: await askSql(deps, context, sql) };
    if (http !== undefined) return { output: await askHttp(deps, context, http, deliveryKey(call.run.origin, call.taskId)) };
    if (file !== undefined) return { output: await lookForFiles(deps, context, file) };
    if (asset !== undefined) return { output: await lookForAsset(deps, asset) };
    throw new DownbeatError("INTERNAL", `task "${call.taskId}" waits for nothing that a worker could look at`);
  };
};

type Look = { readonly met: boolean; readonly value?: Json };

const askSql = async (
  deps: VerbDeps,
  context: VerbContext,
  { connection, query, params }: NonNullable<ProbeConfig["sql"]>,
): Promise<Look> => {
  await using opened = await openFor(deps, connection, context);
  for await (const batch of roleOf(opened, "sql").query(query, params)) {
    const [row] = toRows(batch);
    if (row === undefined) continue;
    const value = Object.values(row)[0] ?? null;
    return { met: isTrue(value), value };
  }
  return { met: false };
};

/** Whole numbers beyond a double's come as text. */
const isTrue = (value: Json): boolean => (typeof value === "string" ? !["", "0", "f", "false"].includes(value) : Boolean(value));

const askHttp = async (
  deps: VerbDeps,
  context: VerbContext,
  { connection, status: wanted, ...request }: NonNullable<ProbeConfig["http"]>,
  idempotencyKey: string,
): Promise<Look> => {
  await using opened = await openFor(deps, connection, context);
  try {
    const { status } = await roleOf(opened, "http").call({ ...request, idempotencyKey });
    return { met: wanted.includes(status), value: status };
  } catch (error) {
    // Any answer is one: only a look that got none has failed.
    const status = error instanceof DownbeatError ? error.details?.["status"] : undefined;
    if (typeof status !== "number" || !(error instanceof DownbeatError)) throw error;
    if (wanted.includes(status)) return { met: true, value: status };
    // Wrong credentials will not become right by waiting.
    if (status === 401 || status === 403 || error.code === "RATE_LIMITED") throw error;
    return { met: false, value: status };
  }
};

const lookForFiles = async (deps: FileDeps, context: VerbContext, selection: FileSelection): Promise<Look> => {
  await using opened = await openFiles(deps, selection.connection, context);
  const found = await findFiles(opened.files, selection);
  return { met: found.length > 0, value: found.length };
};

const lookForAsset = async (
  { findAsset }: ProbeDeps,
  { name, newer_than: newerThan }: NonNullable<ProbeConfig["asset"]>,
): Promise<Look> => {
  const moment = parseMoment(newerThan);
  if (moment === undefined)
    throw new DownbeatError("EXPRESSION_FAILED", `wait.asset.newer_than is "${newerThan}", which is no moment; ${MOMENT_HINT}`);
  const found = await findAsset(name);
  if (found === undefined || Date.parse(found.updatedAt) <= moment) return { met: false };
  return { met: true, value: { updated_at: new Date(found.updatedAt).toISOString(), run: found.runId, rows: found.rows } };
};
