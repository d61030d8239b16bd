// What a copy moves into which tables, and which earlier call of the same command it goes on with: the destination's bookkeeping tells.

import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import type { MoveOptions } from "../../activities/move-load.ts";
import { isIncremental } from "../../activities/transfer.ts";
import type { ConnectorSpec, Destination, Failpoint, LoadTarget, Source, TargetState } from "../../connectors/connector.ts";
import { canonicalText } from "../../core/json.ts";
import type { CopyArguments } from "./arguments.ts";
import type { End } from "./end.ts";

/** One thing to copy. */
export interface Stream {
  readonly name: string;
  readonly query?: string;
  readonly table: string;
}

export interface PlannedTable extends Stream {
  readonly target: LoadTarget;
  readonly request: MoveOptions["request"];
  readonly existed: boolean;
  /** An earlier call of the same command has copied it. */
  readonly isDone: boolean;
  readonly estimate: number | undefined;
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** The streams that the arguments name, or "all"; and what is wrong with them. */
export const chosenStreams = (
  args: CopyArguments,
  from: Pick<End, "stream" | "spec">,
): { readonly streams: readonly Stream[] | "all"; readonly faults: readonly string[] } => {
  const { tables, query, allTables, exclude, into, columns } = args;
  const faults: string[] = [];
  const ways = [
    ...(from.stream === undefined ? [] : ["SOURCE, which names a file or stream itself (its table is named by --into)"]),
    ...(tables.length === 0 ? [] : ["--table"]),
    ...(query === undefined ? [] : ["--query"]),
    ...(allTables ? ["--all-tables"] : []),
  ];
  if (ways.length === 0) faults.push("it is not said what to copy: --table NAME, --all-tables or --query SQL");
  if (ways.length > 1) faults.push(`what to copy is said in ${ways.length} ways; keep one of them: ${ways.join(", ")}`);
  if (exclude.length > 0 && !allTables) faults.push("--exclude goes with --all-tables");
  if (query !== undefined && into === undefined) faults.push("--query needs --into: the table for what it answers");
  const isSeveral = allTables || tables.length > 1;
  if (into !== undefined && isSeveral) faults.push("--into names one table, but several are copied");
  if (columns !== undefined && isSeveral) faults.push("columns can be chosen for one table alone; copy it by itself");
  if (allTables) return { streams: "all", faults };
  if (query !== undefined) return { streams: [{ name: "query", query, table: into ?? "" }], faults };
  const names = from.stream === undefined ? tables : [from.stream];
  const found = withTables(names, from.spec, into);
  return { streams: found.streams, faults: [...faults, ...found.faults] };
};

/** Each stream's table; two streams cannot have one. */
const withTables = (
  names: readonly string[],
  { url }: ConnectorSpec,
  into?: string,
): { readonly streams: readonly Stream[]; readonly faults: readonly string[] } => {
  const faults: string[] = [];
  const streams = names.map((name): Stream => {
    const table = into ?? (url?.tableOf === undefined ? name : url.tableOf(name));
    if (table === undefined) faults.push(`"${name}" gives no name for the table; copy it by itself and name the table with --into`);
    return { name, table: table ?? "" };
  });
  for (const [index, { name, table }] of streams.entries()) {
    const other = streams.findIndex((stream) => stream.table === table);
    if (table !== "" && other < index) faults.push(`"${streams[other]?.name}" and "${name}" would both become the table ${table}`);
  }
  return { streams, faults };
};

/** Every stream that the source has, but those that are left out. */
export const discoveredStreams = async (source: Source, exclude: readonly string[], spec: ConnectorSpec) => {
  const names = (await source.discover()).map(({ name }) => name);
  return withTables(
    names.filter((name) => !exclude.some((pattern) => path.matchesGlob(name, pattern))),
    spec,
  );
};

interface PlanOptions {
  readonly args: CopyArguments;
  readonly from: End;
  readonly to: End;
  readonly streams: readonly Stream[];
  readonly source: Source;
  readonly destination: Destination;
  readonly failpoint: Failpoint;
}

export interface Plan {
  readonly tables: readonly PlannedTable[];
  /** Why they cannot be copied so. */
  readonly refusals: readonly string[];
}

export const planTables = async (options: PlanOptions): Promise<Plan> => {
  const { args, from, to, streams, source, destination } = options;
  const known: { readonly stream: Stream; readonly key: string; readonly state: TargetState }[] = [];
  for (const stream of streams) {
    const key = keyOf(from.place, stream);
    known.push({ stream, key, state: await destination.describeTarget({ key, table: stream.table }) });
  }
  const command = commandOf(options);
  const origin = (args.restart ? undefined : openOrigin(command, known)) ?? newOrigin(command);
  const incremental = args.mode !== undefined && args.mode !== "replace" && isIncremental(from, args.cursor, from.options);
  // Without a mode the whole table appears at once, where the destination can do that.
  const mode = args.mode ?? (to.spec.capabilities.modes?.includes("replace") === true ? "replace" : "append");
  const refusals = known.flatMap(({ stream, state }) => {
    const { exists, lastLoad: last } = state;
    const isOwn = last?.origin === origin;
    if (args.mode === undefined && exists && !(isOwn && (last.done || mode === "append"))) return [existsAlready(stream, to)];
    const isPartial = last !== undefined && !last.done && !last.staged && last.rows > 0 && exists;
    if (isPartial && !isOwn && mode === "append" && !incremental && !args.restart) return [halfAppended(stream, last.rows)];
    return [];
  });
  if (refusals.length > 0) return { tables: [], refusals };
  const planned: PlannedTable[] = [];
  for (const { stream, key, state } of known) {
    const isDone = state.lastLoad?.origin === origin && state.lastLoad.done;
    const hasEstimate = stream.query === undefined && !incremental && !isDone;
    // An estimate is a comfort: what is wrong with the stream, its reading will tell.
    const estimate = hasEstimate ? await source.estimateRows?.(stream.name).catch(() => undefined) : undefined;
    const target: LoadTarget = {
      key,
      origin,
      incremental,
      table: stream.table,
      mode,
      keyColumns: mode === "merge" ? args.key : [],
      schema: "evolve",
      options: to.options,
      failpoint: options.failpoint,
    };
    planned.push({ ...stream, target, request: requestOf(stream, options), existed: state.exists, isDone, estimate });
  }
  return { tables: planned, refusals };
};

/** Names the flow for ever; systems may bound the length of keys. */
const keyOf = (place: string, { name, query, table }: Stream): string => {
  const key = `copy/${place}/${query === undefined ? name : `query-${digest(query)}`}/${table}`;
  return key.length <= 200 ? key : `${key.slice(0, 187)}-${digest(key)}`;
};

/** What makes two calls the same command. */
const commandOf = ({ args, from, to }: PlanOptions): string => {
  const { tables, allTables, exclude, query, into, mode, key, cursor, columns } = args;
  const ends = { from: [from.place, from.stream, from.options], to: [to.place, to.options] };
  return digest(canonicalText({ ...ends, tables, allTables, exclude, query, into, mode, key, cursor, columns }));
};

const prefixOf = (command: string): string => `copy-${command}-`;

/** Origins sort by their time. */
const newOrigin = (command: string): string =>
  `${prefixOf(command)}${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}-${randomBytes(3).toString("hex")}`;

/** That of this command's last call, unless it has copied everything, or somebody has dropped what it had copied. */
const openOrigin = (command: string, known: readonly { readonly state: TargetState }[]): string | undefined => {
  const origins = known
    .flatMap(({ state: { lastLoad } }) => lastLoad?.origin ?? [])
    .filter((origin) => origin.startsWith(prefixOf(command)));
  const last = origins.toSorted().at(-1);
  const own = known.map(({ state }) => state).filter(({ lastLoad }) => lastLoad?.origin === last);
  const isOver = own.length === known.length && own.every(({ lastLoad }) => lastLoad?.done === true);
  const isGone = own.some(
    ({ exists, lastLoad }) => !exists && lastLoad !== undefined && (lastLoad.done || (!lastLoad.staged && lastLoad.rows > 0)),
  );
  return isOver || isGone ? undefined : last;
};

const requestOf = (stream: Stream, { args, from }: PlanOptions): MoveOptions["request"] => {
  const names = new Map(Object.entries(args.columns?.rename ?? {}).map(([source, table]) => [table, source]));
  // Merging, a table is read by its own key: another order might cost the source dear.
  const key = stream.query === undefined && args.mode === "merge" ? [] : args.key.map((name) => names.get(name) ?? name);
  return {
    stream: stream.name,
    ...(stream.query === undefined ? {} : { query: stream.query }),
    options: from.options,
    ...(args.cursor === undefined ? {} : { cursor: args.cursor }),
    ...(key.length === 0 ? {} : { key }),
    nullCursor: "fail",
  };
};

const WAYS: Readonly<Record<LoadTarget["mode"], string>> = {
  replace: "--mode replace (the copied rows take the place of those that are there)",
  append: "--mode append (they are added)",
  merge: "--mode merge --key COLUMNS (they replace those of the same key)",
};

const existsAlready = ({ table }: Stream, { spec, place }: End): string =>
  `the table ${table} is in ${place} already. Say what is to become of its rows: ${(spec.capabilities.modes ?? []).map((mode) => WAYS[mode]).join(", ")}; or name another table with --into`;

const halfAppended = ({ table }: Stream, rows: number): string =>
  `an interrupted copy with other options has left ${rows} rows in the table ${table}, which this one would double. Give the same options again to end it, or --restart to add all rows nevertheless`;
