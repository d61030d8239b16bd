// The transfer verb: opens source and destination and moves one stream exactly once in effect.

import { setTimeout as pause } from "node:timers/promises";
import type { LoadTarget, SchemaPolicy, Source, WriteMode } from "../connectors/connector.ts";
import type { ColumnChoices } from "../core/definition-columns.ts";
import { DownbeatError } from "../core/errors.ts";
import { loadKey, workKey } from "../core/ids.ts";
import type { JsonObject } from "../core/json.ts";
import type { TaskMetrics } from "../core/run-changes.ts";
import { choosingSource } from "./column-choices.ts";
import { openFor, renderedConfig, type Verb, type VerbDeps } from "./verb.ts";
import { roleOf, type OpenedConnection } from "./connections.ts";
import { limitsOf, NO_LIMITS } from "./dead-letter-limits.ts";
import { type FollowConfig, followingOf } from "./following.ts";
import { createLoadView } from "./load-view.ts";
import { type LoadFigures, moveLoad } from "./move-load.ts";
import { durationOf, parseOptions } from "./options.ts";
import { replaySource, untriedAt } from "./replay-source.ts";
import { withSpan } from "./span.ts";

const LAST_VIEW_MS = 2_000;

export interface TransferConfig {
  readonly from: {
    readonly connection: string;
    readonly stream?: string;
    readonly query?: string;
    readonly cursor?: string;
    readonly key?: readonly string[];
    readonly lookback?: string | number;
    readonly null_cursor?: "fail" | "dead_letter";
    readonly dead_letters?: { readonly key: string; readonly newest_by?: string };
    readonly [option: string]: unknown;
  };
  readonly to: {
    readonly connection: string;
    readonly table: string;
    readonly mode?: WriteMode;
    readonly key?: readonly string[];
    readonly schema?: SchemaPolicy;
    readonly columns?: Readonly<Record<string, SchemaPolicy>>;
    readonly [option: string]: unknown;
  };
  readonly columns?: ColumnChoices;
  readonly follow?: FollowConfig;
  readonly dead_letters?: { readonly max_rows?: number; readonly max_share?: number };
}

export interface TransferDeps extends VerbDeps {
  /** The value of a secret reference; throws SECRET_UNRESOLVED. */
  readonly resolveSecret: (reference: JsonObject) => Promise<string>;
  /** Aborts when this worker is to end: what goes on for ever leaves off, to go on elsewhere. That cancels nothing. */
  readonly stopping?: AbortSignal;
}

const chosenSource = async ({ columns }: TransferConfig, source: Source, deps: TransferDeps): Promise<Source> => {
  if (columns === undefined) return source;
  return choosingSource(source, columns, columns.hash_key === undefined ? undefined : await deps.resolveSecret(columns.hash_key));
};

export const createTransfer = (deps: TransferDeps): Verb => {
  return async (call, context) => {
    const config = await renderedConfig<TransferConfig>(deps, call);
    const {
      connection: fromName,
      stream,
      query,
      cursor,
      key,
      lookback,
      null_cursor,
      dead_letters: replayed,
      ...sourceOptions
    } = config.from;
    await using from = await openFor(deps, fromName, context);
    await using to = await openFor(deps, config.to.connection, context);
    const streamName = stream ?? "query";
    const options = parseOptions(from, "sourceOptions", sourceOptions);
    const target = loadTarget(
      config,
      call.run,
      workKey(call.taskId, call.itemKey),
      streamName,
      replayed === undefined && isIncremental(from, cursor, options),
      to,
      deps,
    );
    const destination = roleOf(to, "destination");
    const reader = roleOf(from, "source");
    const whole = replayed === undefined ? reader : replaySource({ key: replayed.key, source: reader, destination, target });
    const source = await chosenSource(config, whole, deps);
    await using load = await destination.openLoad(target);
    const follow = config.follow === undefined ? {} : { follow: followingOf(config.follow, call, deps.stopping) };
    // Those of earlier rounds were told by them.
    const changesBefore = config.follow === undefined ? 0 : ((await load.schemaChanges?.()) ?? []).length;
    let told: LoadFigures = { ...load.resume, chunks: 0 };
    let hasEnded = false;
    const metricsOf = (figures: LoadFigures): TaskMetrics => ({
      rows: figures.rows,
      bytes: figures.bytes,
      deadLetters: replayed === undefined ? figures.deadLetters : 0,
      ...lagOf(figures),
    });
    const view = createLoadView(async (figures: LoadFigures) => {
      const { rows, bytes, deadLetters, position } = figures;
      const shown = [deps.recordLoad({ key: target.key, runId: target.origin, rows, bytes, deadLetters, position })];
      // Of an item it is not the task's; of what has ended the run tells it.
      if (call.itemKey === undefined && !hasEnded)
        shown.push(deps.showMetrics({ runId: call.run.id, taskId: call.taskId }, metricsOf(figures)));
      await Promise.all(shown).catch((error: unknown) => {
        // The load stands in the destination, whatever the store says; the next run's copy replaces this one.
        context.log.warn({ err: error instanceof Error ? error.message : String(error) }, "the store did not take the load's copy");
      });
    });
    const progress = (figures: LoadFigures): void => {
      context.heartbeat();
      if (figures.chunks === told.chunks && figures.asOf === told.asOf) return;
      context.tell({
        rows: figures.rows - told.rows,
        bytes: figures.bytes - told.bytes,
        deadLetters: replayed === undefined ? figures.deadLetters - told.deadLetters : 0,
        ...lagOf(figures),
      });
      told = figures;
      view.note(figures);
    };

    const started = performance.now();
    const kinds = { "connector.kind.from": from.spec.kind, "connector.kind.to": to.spec.kind, stream: streamName, table: target.table };
    const moved = withSpan(`load ${from.spec.kind} → ${to.spec.kind}`, kinds, () =>
      moveLoad({
        source,
        load,
        request: {
          stream: streamName,
          ...(query === undefined ? {} : { query }),
          options,
          ...(cursor === undefined ? {} : { cursor }),
          ...(key === undefined ? {} : { key }),
          ...(lookback === undefined ? {} : { lookbackMs: durationOf(lookback, "from.lookback") }),
          nullCursor: null_cursor ?? "fail",
        },
        // Rows that stay dead letters are none that are diverted. Each page is a chunk.
        ...(replayed === undefined ? { limits: limitsOf(config.dead_letters) } : { limits: NO_LIMITS, chunkRows: 1 }),
        signal: context.signal,
        ...follow,
        progress,
      }),
    );
    const figures = await moved.catch(async (error: unknown) => {
      // What it had committed stays to be seen, unless another attempt has gone on from there.
      if (error instanceof DownbeatError && error.code === "LOAD_FENCED") view.drop();
      // A store that is away is not waited for: what the load holds in the destination is held until then.
      await Promise.race([view.end(), pause(LAST_VIEW_MS, undefined, { ref: false })]);
      throw error;
    });
    hasEnded = figures.isOpen !== true;
    view.note(figures);
    await view.end();
    const seconds = Math.round(performance.now() - started) / 1000;
    const { rows, bytes, deadLetters, position } = figures;
    const changes = (await load.schemaChanges?.()) ?? [];
    const newChanges = changes.slice(changesBefore);
    if (newChanges.length > 0)
      context.log.warn({ changes: newChanges, table: config.to.table }, "the stream's columns and the table's came to differ");
    context.tell({ schemaChanges: newChanges.length });
    const { lagSeconds: lag } = lagOf(figures);
    const untried = replayed === undefined ? {} : { untried: { ...untriedAt(position) } };
    context.log.info(
      { rows, bytes, deadLetters, ...untried, chunks: figures.chunks, seconds, lag, stream: streamName, table: config.to.table },
      figures.isOpen === true ? "load goes on" : "load finished",
    );
    return {
      ...(figures.isOpen === true ? { goesOn: true as const } : {}),
      output: {
        stream: streamName,
        table: config.to.table,
        mode: target.mode,
        rows,
        bytes,
        dead_letters: deadLetters,
        ...untried,
        ...(lag === undefined ? {} : { lag_seconds: lag }),
        ...(changes.length === 0 ? {} : { schema_changes: changes.map((change) => ({ ...change })) }),
      },
      metrics: {
        ...metricsOf(figures),
        ...(changes.length === 0 ? {} : { schemaChanges: changes.length }),
        seconds,
      },
    };
  };
};

const lagOf = ({ asOf }: LoadFigures): Pick<TaskMetrics, "lagSeconds" | "asOf"> =>
  asOf === undefined ? {} : { lagSeconds: Math.max(0, Date.now() - asOf) / 1_000, asOf: new Date(asOf).toISOString() };

/** Whether a load goes on from where the last one ended. */
export const isIncremental = (
  { spec: { capabilities } }: Pick<OpenedConnection, "spec">,
  cursor: string | undefined,
  options: Readonly<Record<string, unknown>>,
): boolean =>
  cursor !== undefined ||
  capabilities.incremental === "always" ||
  (capabilities.incrementalWhen !== undefined && options[capabilities.incrementalWhen] === true);

const loadTarget = (
  config: TransferConfig,
  run: { readonly pipeline: string; readonly origin: string },
  taskId: string,
  stream: string,
  incremental: boolean,
  to: OpenedConnection,
  deps: VerbDeps,
): LoadTarget => {
  const { connection: _, table, mode = "append", key = [], schema = "evolve", columns, ...options } = config.to;
  const { dead_letters: replayed } = config.from;
  return {
    key: loadKey(run.pipeline, taskId, stream),
    origin: run.origin,
    // Replace builds the whole table anew, whatever was read before.
    incremental: incremental && mode !== "replace",
    table,
    mode,
    keyColumns: key,
    // A replayed row may be older than what came into the table since.
    ...(replayed?.newest_by === undefined ? {} : { newestBy: replayed.newest_by }),
    schema,
    ...(columns === undefined ? {} : { columnSchema: columns }),
    options: parseOptions(to, "targetOptions", options),
    failpoint: deps.failpoint,
  };
};
