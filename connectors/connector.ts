// The contract of connectors: a light spec, and what `open` gives. Connectors know nothing of Temporal.

import type { z } from "zod";
import type { Json } from "../core/json.ts";
import type { Batch, Column, Position } from "./batch.ts";
import type { ConnectorUrl } from "./connector-url.ts";
import type { EventSource } from "./event-source.ts";
import type { FileStore } from "./file-store.ts";
import type { ProgramHost } from "./lib/programs/allowed-program.ts";

export type Role = "source" | "destination" | "sql" | "publish" | "http" | "files" | "events";

/** What a connector gets from its host. Everything that lasts stops within seconds of `signal` and rejects with its reason. */
export interface ConnectorContext {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Says that it lives; call at least every few seconds in loops that do not yield batches. */
  readonly progress: () => void;
  /** A folder for temporary files of this opening; removed by the host. */
  readonly tempDir: string;
  /** Relative paths in configurations are resolved against it. */
  readonly baseDir: string;
  /** About how many rows a batch should have, for hosts that want smaller ones than sources make by themselves. What comes in one piece, such as a page of an API, stays whole. */
  readonly batchRows?: number | undefined;
  /** Globs under `baseDir` that are Downbeat's own: no task reads or writes them. */
  readonly reserved?: readonly string[];
  /** The programs that the host lets connectors run; absent: none. */
  readonly programs?: ProgramHost;
}

export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Facts that can be known without connecting. */
export interface Capabilities {
  /** Source: streams can be read from a cursor column, or go on by themselves (`always`: topics, new objects). */
  readonly incremental?: "cursor" | "always" | "never";
  /** Source: the boolean option that, set to true, makes a stream go on by itself although others do not. */
  readonly incrementalWhen?: string;
  /**
   * Source: reading on from a position may bring rows again that came before it, which only mode merge takes without doubling them.
   * Names the boolean option with which a task says that it takes them twice.
   */
  readonly repeatsUnless?: string;
  /** Source: a broken load goes on from its last committed position instead of from the start. */
  readonly resumable?: boolean;
  /** Destination: modes that it can do. */
  readonly modes?: readonly WriteMode[];
  /** Destination: rows, receipt and position become visible in one step. */
  readonly transactional?: boolean;
}

export interface ConnectorSpec<Config extends z.ZodObject = z.ZodObject> {
  /** Unique, kebab-case, as written in `POST /v1/connections`. */
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  readonly roles: readonly Role[];
  /** Strict object schema; secret fields are made with `secret()`. */
  readonly config: Config;
  /** Source role: keys of a transfer's `from` beside connection, stream, query, cursor, key, lookback. */
  readonly sourceOptions?: z.ZodObject;
  /** Destination role: keys of a transfer's or publish's `to` beside connection, table, mode, key, schema. */
  readonly targetOptions?: z.ZodObject;
  /** Publish role: keys of `publish` beside connection, query, params, to. */
  readonly publishOptions?: z.ZodObject;
  readonly capabilities: Capabilities;
  /** Events role: keys of a trigger's `stream` beside connection, stream, every. */
  readonly eventOptions?: z.ZodObject;
  /** Source and destination roles: how `downbeat copy` takes it; without it only files of configuration lead to it. */
  readonly url?: ConnectorUrl;
  /** Lines of Markdown for the reference page: type tables, limits, what it refuses. */
  readonly notes?: string;
  /** Opens nothing that it does not need yet; imports its driver here, never at the top of the file. */
  open(config: z.output<Config>, context: ConnectorContext): Promise<Connector>;
}

/** What `open` gives: always a check, and the interfaces of the roles that the spec names. */
export interface Connector extends AsyncDisposable {
  /** One cheap round trip. Throws DownbeatError: …_AUTH, …_UNAVAILABLE, CONNECTION_INVALID. */
  check(): Promise<void>;
  readonly source?: Source;
  readonly destination?: Destination;
  readonly sql?: SqlWarehouse;
  readonly publisher?: Publisher;
  readonly http?: HttpCaller;
  readonly files?: FileStore;
  readonly events?: EventSource;
}

// ---- sources

export interface StreamInfo {
  readonly name: string;
  readonly key?: readonly string[];
  readonly columns: readonly Column[];
}

export interface StreamRequest {
  /** Table, topic, prefix or glob, endpoint: as the definition writes it. */
  readonly stream: string;
  /** A query of the user's instead of a stream; then `stream` is only its name. Sources that take none refuse it with SOURCE_OPTIONS_INVALID. */
  readonly query?: string;
  /** Source-specific options, parsed by `sourceOptions`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Cursor column: read in (cursor, key) order, up to `bounds`. */
  readonly cursor?: string;
  /** Key columns that break ties of equal cursor values; default: the stream's own primary key. */
  readonly key?: readonly string[];
  /** Milliseconds to go back behind the position of the last run (merge only). */
  readonly lookbackMs?: number;
  /** What to do with a NULL in the cursor column. */
  readonly nullCursor: "fail" | "dead_letter";
  /** True when `position` comes from an earlier run (so `lookbackMs` applies), false when this load is being resumed. */
  readonly newRun: boolean;
  /** Read on from here; null = from the beginning. */
  readonly position: Position | null;
  /** The fixed upper end, as `bounds` gave it when the load began; null where the source has none. */
  readonly bounds: Json;
  /** Batches may name rows of Parquet files instead of carrying them. */
  readonly takesParquet?: boolean;
  /** Batches may name CSV files instead of carrying their rows. */
  readonly takesCsv?: boolean;
  /** Which of these items has the destination taken in already? Only for sources that yield `items`. */
  readonly seen: (items: readonly string[]) => Promise<ReadonlySet<string>>;
}

export interface Source {
  discover(): Promise<readonly StreamInfo[]>;
  /**
   * Fixes the upper end of a load before anything is read (largest cursor, end offsets, list of objects); a resumed load is given the first answer again.
   * Keep it small (a few KB): it is stored with the load.
   */
  bounds?(request: Omit<StreamRequest, "bounds">): Promise<Json>;
  /**
   * Yields batches of about 32 MB or 122,880 rows (lib/batch-builder.ts), whichever comes first, in a stable order.
   * Promise: reading from a batch's `position` yields exactly the rows that follow it, up to the same bounds; before them perhaps some again, where `repeatsUnless` is set.
   * An empty stream yields one batch without rows, so that the destination learns the columns.
   */
  read(request: StreamRequest): AsyncIterable<Batch>;
  /** Sources whose rows are texts: reads those of dead letters again, as `read` would today. Rejects bear the letter's id. */
  reread?(letters: readonly DeadLetter[], request: RereadRequest): Batch | Promise<Batch>;
  /** About how many rows a stream has, where the system knows without counting: for people who wait. */
  estimateRows?(stream: string): Promise<number | undefined>;
}

export interface RereadRequest extends Pick<StreamRequest, "stream" | "options"> {
  /** The columns of letters that were read before: types only widen. */
  readonly known: readonly Column[];
}

/** A row that was diverted, as the destination keeps it. */
export interface DeadLetter {
  readonly id: string;
  readonly place: string;
  readonly raw: string;
  /** What the load that left it wrote to, as the definition had it; undefined: that load is forgotten. */
  readonly load?: { readonly table: string; readonly mode: string };
}

// ---- destinations

export type WriteMode = "append" | "merge" | "replace";
/** What happens to columns that the table does not have: add them, refuse them, leave them out. */
export type SchemaPolicy = "evolve" | "freeze" | "discard";

export interface LoadTarget {
  /** Names the flow for ever: pipeline, task and stream. Rows of one key never mix with another's bookkeeping. */
  readonly key: string;
  /** The run (or first run of a chain of reruns) that this load belongs to. */
  readonly origin: string;
  /** Whether the position of an earlier origin is where this one starts. */
  readonly incremental: boolean;
  /** "table" or "schema.table". */
  readonly table: string;
  readonly mode: WriteMode;
  /** Merge only: rows of the same key replace each other; the last one wins. */
  readonly keyColumns: readonly string[];
  /** Merge only: a row whose key the table has goes in only if it is not older by this column. */
  readonly newestBy?: string;
  readonly schema: SchemaPolicy;
  /** Columns, as the table names them, for which another policy holds. */
  readonly columnSchema?: Readonly<Record<string, SchemaPolicy>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** Called with named boundaries; off by default, used to kill the process at a chosen place. */
  readonly failpoint: Failpoint;
}

export type FailpointName = "before-commit" | "between-rows-and-cursor" | "within-commit" | "after-commit" | "between-staging-and-swap";
export type Failpoint = (name: FailpointName) => Promise<void>;

export interface ResumePoint {
  /** This origin's load has ended already: nothing is left to do. */
  readonly done: boolean;
  /** True when no chunk of this origin is committed yet. */
  readonly newRun: boolean;
  readonly position: Position | null;
  /** As given to `begin` by an earlier attempt of this origin; undefined = not begun. */
  readonly bounds: Json | undefined;
  /** What this origin has committed so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

/** How a stream's columns and the table's came to differ, and what was done. */
export interface SchemaChange {
  readonly column: string;
  /** `left_out`: by the policy `discard`. */
  readonly change: "added" | "widened" | "left_out";
  /** Types as definitions write them; null: there was none. */
  readonly before: string | null;
  readonly after: string | null;
}

/** What a destination knows of a load's target before it begins. */
export interface TargetState {
  readonly exists: boolean;
  /** Of the load's key: the one that was begun last, whether it has ended or not. `staged`: its rows still lie beside the table. */
  readonly lastLoad?: { readonly origin: string; readonly rows: number; readonly done: boolean; readonly staged: boolean };
}

export interface Destination {
  /** Looks and changes nothing: who keeps no record of runs learns here what there is to go on with. */
  describeTarget(target: Pick<LoadTarget, "key" | "table">): Promise<TargetState>;
  /** Creates the bookkeeping where it is missing and reads the resume point. Takes no lock that outlives a dead process. */
  openLoad(target: LoadTarget): Promise<Load>;
  /** Where dead letters can be replayed: those of a load's key behind the one with this id ("": all), by their ids, in pages. Only once a load was opened. */
  readLetters?(key: string, after: string): AsyncIterable<readonly DeadLetter[]>;
}

/**
 * One attempt of a load. begin → (write* → commit)* → finish.
 * Promises: commit makes rows, dead letters, items, receipt and position visible in one step or not at all; it compares and sets the load's sequence number,
 * and throws LOAD_FENCED when another attempt has moved it. Replace writes to staging and swaps in finish. Disposing without finish leaves only what was committed.
 */
export interface Load extends AsyncDisposable {
  readonly resume: ResumePoint;
  /** Whether `write` takes batches that name rows of Parquet files, or CSV files. */
  readonly takesParquet?: boolean;
  readonly takesCsv?: boolean;
  begin(bounds: Json): Promise<void>;
  /** Takes the batch over; resolves when the next one is welcome. Creates or evolves the table. Rejects in the batch go to the dead-letter table, but those that are in it already. */
  write(batch: Batch): Promise<void>;
  /** Ends the chunk that began after the last commit. `position` is where a resumed load goes on. */
  commit(position: Position | null): Promise<void>;
  /** Ends the load, also one without rows. */
  finish(): Promise<void>;
  seen(items: readonly string[]): Promise<ReadonlySet<string>>;
  /** Of this origin, by whichever attempt: where tables have columns of their own. That a table was made is none. */
  schemaChanges?(): Promise<readonly SchemaChange[]>;
}

// ---- warehouses that run SQL

export interface SqlWarehouse {
  /** Runs one or more statements in one transaction where the system can. Gives the affected rows of the last one. */
  execute(sql: string, params?: Readonly<Record<string, Json>>): Promise<{ readonly rowsAffected: number | null }>;
  /** One query; `:name` parameters are bound, never spliced. */
  query(sql: string, params?: Readonly<Record<string, Json>>): AsyncIterable<Batch>;
  /** Quotes an identifier or a dotted name. */
  quote(name: string): string;
}

// ---- activation

export interface PublishRequest {
  /** Names this delivery for ever: run, task. Message n of it carries the key `${key}/${n}`, the same on every repetition. */
  readonly key: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Publisher {
  publish(
    batches: AsyncIterable<Batch>,
    request: PublishRequest,
  ): Promise<{ readonly rows: number; readonly bytes: number; readonly messages: number }>;
}

export interface HttpCaller {
  call(request: {
    readonly method: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly query?: Readonly<Record<string, string>>;
    readonly body?: Json;
    readonly idempotencyKey: string;
    /** Statuses that are answers, too, and no failures. */
    readonly accept?: readonly number[];
  }): Promise<{ readonly status: number; readonly body: Json; readonly headers?: Readonly<Record<string, string>> }>;
}
