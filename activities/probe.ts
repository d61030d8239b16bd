// The probe verb: one look whether what a `wait` task waits for is there. Holds a worker for the look alone.

import { MOMENT_HINT, parseMoment } from "../core/duration.ts";
import { DownbeatError } from "../core/errors.ts";
import { deliveryKey } from "../core/ids.ts";
import { evaluateCondition } from "../core/expression.ts";
import { jsonBytes, type Json, type JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { toRows } from "../connectors/lib/rows.ts";
import type { Assets } from "../store/assets.ts";
import { roleOf } from "./connections.ts";
import type { VerbContext } from "./run-verb.ts";
import { findFiles, openFiles, type FileDeps, type FileSelection } from "./open-files.ts";
import type { TaskCall } from "../workflows/ports.ts";
import { openFor, renderedConfig, scopeOf, type SqlParams, type Verb, type VerbDeps } from "./verb.ts";

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
    /** No text with expressions inside, but one. */
    readonly until?: string;
  };
}

export interface ProbeDeps extends FileDeps {
  readonly findAsset: Assets["find"];
}

export const createProbe = (deps: ProbeDeps): Verb => {
  return async (call, context) => {
    const { sql, http, file, asset } = await renderedConfig<ProbeConfig>(deps, call);
    if (sql !== undefined) return { output: await askSql(deps, context, sql) };
    if (http !== undefined) return { output: await askHttp(deps, context, http, call) };
    if (file !== undefined) return { output: await lookForFiles(deps, context, file) };
    if (asset !== undefined) return { output: await lookForAsset(deps, asset) };
    throw new DownbeatError("INTERNAL", `task "${call.taskId}" waits for nothing that a worker could look at`);
  };
};

/** A look's answer has to travel: what it has met would not be seen behind a reference. */
const SHOWN_BYTES = 1_024;

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
    return { met: isTrue(value), ...(jsonBytes(value) <= SHOWN_BYTES ? { value } : {}) };
  }
  return { met: false };
};

/** Whole numbers beyond a double's come as text. */
const isTrue = (value: Json): boolean => (typeof value === "string" ? !["", "0", "f", "false"].includes(value) : Boolean(value));

const askHttp = async (
  deps: VerbDeps,
  context: VerbContext,
  { connection, status: wanted, until, ...request }: NonNullable<ProbeConfig["http"]>,
  call: TaskCall,
): Promise<Look> => {
  await using opened = await openFor(deps, connection, context);
  const asked = { ...request, idempotencyKey: deliveryKey(call.run.origin, call.taskId), accept: wanted };
  const { status, ...rest } = await roleOf(opened, "http")
    .call(asked)
    .catch((error: unknown) => ({ status: statusOf(error, wanted), body: null, headers: {} }));
  if (!wanted.includes(status) || until === undefined) return { met: wanted.includes(status), value: status };
  const response = readable({ status, headers: rest.headers ?? {}, body: rest.body });
  return { met: evaluateCondition(until, { ...(await scopeOf(deps, call)), response }), value: status };
};

/** Any answer is one: only a look that got none has failed. Throws what it has failed with. */
const statusOf = (error: unknown, wanted: readonly number[]): number => {
  const status = error instanceof DownbeatError ? error.details?.["status"] : undefined;
  if (typeof status !== "number" || !(error instanceof DownbeatError)) throw error;
  if (wanted.includes(status)) return status;
  // Wrong credentials will not become right by waiting.
  if (status === 401 || status === 403 || error.code === "RATE_LIMITED") throw error;
  return status;
};

/** Throws EXPRESSION_FAILED where it is larger than conditions may read. */
const readable = (response: JsonObject): JsonObject => {
  const bytes = jsonBytes(response);
  if (bytes <= LIMITS.largeOutputBytes) return response;
  const message = `wait.http.until cannot be evaluated: the answer is ${bytes} bytes, the limit is ${LIMITS.largeOutputBytes}; ask for less`;
  throw new DownbeatError("EXPRESSION_FAILED", message);
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
