// `downbeat copy`: opens both ends in this process, plans the tables with the destination, and moves one after the other.

import { tmpdir } from "node:os";
import { createConnectionOpener, roleOf } from "../../activities/connections.ts";
import type { Catalogue } from "../../connectors/catalogue.ts";
import type { Log } from "../../connectors/connector.ts";
import { DownbeatError } from "../../core/errors.ts";
import { scrub } from "../../core/scrub.ts";
import { parseConfig } from "../config.ts";
import { createFailpoint } from "../failpoints.ts";
import { createSecretResolver } from "../secrets.ts";
import { loadCatalogue } from "../user-config.ts";
import { type CopyArguments, parseCopyArguments, USAGE } from "./arguments.ts";
import { type Asking, createAsking } from "./ask.ts";
import { checkEnd } from "./check-end.ts";
import { createDisplay, type Display } from "./display.ts";
import { type End, type EndRole, endsOf, resolveEnd } from "./end.ts";
import { INTERRUPTED, listenForInterrupt } from "./interrupting.ts";
import { type MoveDeps, moveTable, NOT_BEGUN, type TableResult } from "./move-table.ts";
import { chosenStreams, discoveredStreams, type PlannedTable, planTables, type Stream } from "./plan.ts";
import { type CopiedTable, hintFor, howToGoOn, jsonLine, summary } from "./report.ts";

interface Asked {
  readonly args: CopyArguments;
  readonly from: End;
  readonly to: End;
  readonly streams: readonly Stream[] | "all";
}

/** Copies, and gives the exit code. */
export const copy = async (argv: readonly string[]): Promise<number> => {
  const { userConfigFile, failpoints } = parseConfig(process.env);
  const { catalogue } = await loadCatalogue(userConfigFile);
  if (argv.includes("--help") || argv.includes("-h")) {
    console.log(helpText(catalogue));
    return 0;
  }
  const asked = understand(argv, catalogue);
  if (asked === undefined) return 2;
  const { args, from, to } = asked;
  const display = createDisplay(process.stderr);
  const { signal, interrupt } = listenForInterrupt(display);
  const asking = args.yes ? undefined : createAsking({ input: process.stdin, output: process.stderr, signal, interrupt });
  const resolveSecret = createSecretResolver(process.env);
  const ends = new Map<EndRole, End>([
    ["source", from],
    ["destination", to],
  ]);
  const open = createConnectionOpener({
    findConnection: (name) => {
      const end = ends.get(name as EndRole);
      return Promise.resolve(end && { name, kind: end.spec.kind, config: end.config });
    },
    findSpec: catalogue.find,
    resolveSecret,
    tempRoot: tmpdir(),
    baseDir: process.cwd(),
  });
  const log = warningsOnly(display);
  try {
    for (const role of ["source", "destination"] as const) await checkEnd(role, ends, { open, log, signal, display, asking });
    const hashKey = args.columns?.hash_key === undefined ? undefined : await resolveSecret(args.columns.hash_key);
    const tables = await planned(asked, { open, log, signal, failpoints });
    if (!(await mayReplace(tables, args, asking))) return 1;
    const { columns, maxDeadLetters, retries } = args;
    return await moveAll(tables, asked, { open, log, signal, display, columns, hashKey, maxDeadLetters, retries });
  } catch (error) {
    if (signal.aborted) {
      display.note("stopped; nothing was copied");
      return INTERRUPTED;
    }
    const known = error instanceof DownbeatError ? error : new DownbeatError("INTERNAL", String(error), { cause: error });
    display.note(describeError(known));
    if (args.json) {
      const facts = { code: known.code, message: scrub(known.message) };
      console.log(JSON.stringify({ from: from.shown, to: to.shown, status: "failed", error: facts }));
    }
    return 1;
  }
};

const helpText = (catalogue: Catalogue): string => {
  const ends = [...endsOf("source", catalogue), ...endsOf("destination", catalogue)].map(({ url }) => `  ${url.example}`);
  return USAGE.replace("{ENDS}", [...new Set(ends)].join("\n"));
};

const OPEN_SECRET =
  "note: others on this machine can see a password in a command line; leave it out to be asked for it, or see --from-password-env";

/** What is asked for; undefined when there are faults, which are told, all of them. */
const understand = (argv: readonly string[], catalogue: Catalogue): Asked | undefined => {
  const { args, faults } = parseCopyArguments(argv);
  const deps = { catalogue, env: process.env, baseDir: process.cwd() };
  const { end: from, faults: fromFaults } = resolveEnd("source", args.from, deps);
  const { end: to, faults: toFaults } = resolveEnd("destination", args.to, deps);
  const all = [...faults, ...fromFaults, ...toFaults];
  const chosen = from === undefined ? undefined : chosenStreams(args, from);
  all.push(
    ...(chosen?.faults ?? []),
    ...(from === undefined ? [] : cursorFaults(args, from)),
    ...(to === undefined ? [] : modeFaults(args, to)),
  );
  if (from !== undefined && to !== undefined && chosen !== undefined && all.length === 0) {
    if (from.hasOpenSecret || to.hasOpenSecret) console.error(OPEN_SECRET);
    return { args, from, to, streams: chosen.streams };
  }
  for (const fault of all) console.error(`✗ ${fault}`);
  console.error("\ndownbeat copy --help lists everything.");
  return undefined;
};

const modeFaults = ({ mode }: CopyArguments, { spec }: End): readonly string[] => {
  const modes = spec.capabilities.modes ?? [];
  return mode === undefined || modes.includes(mode) ? [] : [`--mode ${mode}: ${spec.title} can do ${modes.join(" and ")} alone`];
};

const cursorFaults = ({ cursor }: CopyArguments, { spec }: End): readonly string[] =>
  cursor === undefined || spec.capabilities.incremental === "cursor" ? [] : [`--cursor: ${spec.title} has no cursor columns`];

interface PlanDeps extends Pick<MoveDeps, "open" | "log" | "signal"> {
  readonly failpoints: string | undefined;
}

/** Looks at both ends and leaves them again. Throws DESTINATION_TABLE_INVALID with all that stands in the way. */
const planned = async (
  { args, from, to, streams }: Asked,
  { open, log, signal, failpoints }: PlanDeps,
): Promise<readonly PlannedTable[]> => {
  const context = { signal, log, progress: () => undefined };
  await using source = await open("source", context);
  await using destination = await open("destination", context);
  const roles = { source: roleOf(source, "source"), destination: roleOf(destination, "destination") };
  const found = streams === "all" ? await discoveredStreams(roles.source, args.exclude, from.spec) : { streams, faults: [] };
  if (found.streams.length === 0) throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `${from.shown} has nothing to copy`);
  if (found.faults.length > 0) throw new DownbeatError("DESTINATION_TABLE_INVALID", found.faults.join("\n"));
  const plan = await planTables({ args, from, to, streams: found.streams, ...roles, failpoint: createFailpoint(failpoints) });
  if (plan.refusals.length > 0) throw new DownbeatError("DESTINATION_TABLE_INVALID", plan.refusals.join("\n"));
  return plan.tables;
};

/** Whoever sits at a terminal is asked once more before rows that are there go away. */
const mayReplace = async (tables: readonly PlannedTable[], { mode }: CopyArguments, asking: Asking | undefined): Promise<boolean> => {
  const replaced = tables.filter(({ existed, isDone }) => mode === "replace" && existed && !isDone).map(({ table }) => table);
  if (replaced.length === 0 || asking === undefined) return true;
  return asking.confirm(`The rows of ${replaced.join(", ")} will be replaced. Go on?`);
};

/** One after the other; what fails does not hold up the others. */
const moveAll = async (tables: readonly PlannedTable[], { args, from, to }: Asked, deps: MoveDeps): Promise<number> => {
  const copied: CopiedTable[] = [];
  for (const stream of tables) {
    if (stream.isDone) deps.display.note(`${stream.table}: was copied by the last call already`);
    const result: TableResult = deps.signal.aborted ? NOT_BEGUN : await moveTable(stream, deps);
    copied.push({ stream, result });
    if (result.error !== undefined) deps.display.note(`✗ ${stream.table}: ${describeError(result.error)}`);
    if (result.status === "failed" || result.status === "interrupted")
      deps.display.note(howToGoOn({ stream, result }, stream.target.mode === "replace"));
    if (args.json) console.log(jsonLine({ stream, result }, { from: from.shown, to: to.shown }));
  }
  if (!args.json) console.log(`${summary(copied)}\n${from.shown} → ${to.shown}`);
  if (copied.every(({ result }) => result.status === "copied")) return 0;
  return deps.signal.aborted ? INTERRUPTED : 1;
};

const describeError = ({ code, message }: DownbeatError): string => `${code}: ${scrub(message)}${hintFor(code)}`;

const warningsOnly = (display: Display): Log => ({
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => display.note(`warning: ${message} ${scrub(JSON.stringify(fields))}`),
});
