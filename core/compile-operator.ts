// What an operator's configuration asks of connections and activities, checked against the catalogue.

import type { Side } from "./circuit.ts";
import { choiceFaults } from "./column-choices.ts";
import type { Catalogue, ConnectorFacts, OptionsSchema } from "./compile-plan.ts";
import type { TaskDefinition } from "./definition.ts";
import { STREAM_KEYS, type TriggerDefinition } from "./definition-triggers.ts";
import { MOMENT_HINT, parseDuration, parseMoment } from "./duration.ts";
import { didYouMean, type Fault, type PathPart } from "./issues.ts";
import type { JsonObject } from "./json.ts";
import {
  OPERATOR_SCHEMAS,
  type ApprovalConfig,
  type CheckConfig,
  type CommandConfig,
  type FileConfig,
  type PublishConfig,
  type TransferConfig,
  type WaitConfig,
} from "./operators.ts";
import type { CompiledPlan, ConnectionUse, Operator } from "./plan.ts";
import { isTemplate } from "./templates.ts";

type Path = readonly PathPart[];

const FROM_KEYS = Object.keys(OPERATOR_SCHEMAS.transfer.shape.from.shape);
const TO_KEYS = Object.keys(OPERATOR_SCHEMAS.transfer.shape.to.shape);
const PUBLISH_TO_KEYS = Object.keys(OPERATOR_SCHEMAS.publish.shape.to.shape);

export class OperatorCheck {
  readonly #catalogue: Catalogue;
  readonly #fault: Fault;
  readonly #connections = new Set<string>();
  /** By task id. */
  readonly #uses = new Map<string, Map<string, Side | undefined>>();
  #task = "";

  constructor(catalogue: Catalogue, fault: Fault) {
    this.#catalogue = catalogue;
    this.#fault = fault;
  }

  /** Names of all connections met so far. */
  get connections(): readonly string[] {
    return [...this.#connections];
  }

  /** Which task uses which of them. */
  get uses(): NonNullable<CompiledPlan["uses"]> {
    const entries = [...this.#uses].map(([task, used]): readonly [string, readonly ConnectionUse[]] => [
      task,
      [...used].map(([name, side]) => ({ name, ...(side === undefined ? {} : { side }) })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ]);
    return Object.fromEntries(entries);
  }

  /** Checks one task's configuration and gives it as the verb will read it. A user's own activity has none: its input travels in the plan. */
  check(task: TaskDefinition, operator: Operator, path: Path): JsonObject {
    this.#task = task.id;
    if (task.transfer !== undefined) this.#transfer(task.transfer, path);
    if (task.sql !== undefined) this.#connector(task.sql.connection, ["sql"], path);
    if (task.http !== undefined) this.#connector(task.http.connection, ["http"], path);
    if (task.check !== undefined) this.#check(task.check, path);
    if (task.publish !== undefined) this.#publish(task.publish, path);
    if (task.command !== undefined) this.#command(task.command, path);
    if (task.file !== undefined) this.#file(task.file, path);
    if (task.activity !== undefined) this.#activity(task.activity.name, path);
    if (task.approval !== undefined) this.#approval(task.approval, path);
    if (task.wait !== undefined) {
      this.#wait(task.wait, path);
      this.#uses.delete(task.id);
    }
    return operator === "activity" ? {} : (task[operator] as unknown as JsonObject);
  }

  /** Checks what an event trigger reads. Its looks take no slot of the connection. */
  checkTrigger({ stream, files }: Pick<TriggerDefinition, "stream" | "files">, path: Path): void {
    this.#task = "";
    if (stream !== undefined) {
      const at = [...path, "stream"];
      const source = this.#connector(stream.connection, ["events"], at);
      this.#options(source, source?.eventOptions, stream, STREAM_KEYS, at);
    }
    if (files?.connection !== undefined) this.#connector(files.connection, ["files"], [...path, "files"]);
    this.#uses.delete("");
  }

  #transfer({ from, to, columns, follow, dead_letters: limits }: TransferConfig, path: Path): void {
    const source = this.#connector(from.connection, ["source"], [...path, "from"]);
    const target = this.#connector(to.connection, ["destination"], [...path, "to"]);
    this.#exactlyOne(from, ["stream", "query"], [...path, "from"]);
    if (to.mode === "merge" && to.key.length === 0)
      this.#fault("MISSING_KEY", [...path, "to"], 'mode merge needs "key": the columns that make a row unique');
    if (limits.max_rows === undefined && limits.max_share === undefined)
      this.#fault("MISSING_KEY", [...path, "dead_letters"], "says no limit; give max_rows, max_share or both");
    if (from.lookback !== undefined && to.mode !== "merge" && !isZero(from.lookback)) {
      const message = `lookback reads rows again, which only mode merge takes without doubling them; the mode is ${to.mode}`;
      this.#fault("MODE_UNSUPPORTED", [...path, "from", "lookback"], message);
    }
    if (from.cursor !== undefined && source?.incremental === "never")
      this.#fault("MODE_UNSUPPORTED", [...path, "from", "cursor"], `connection "${from.connection}" cannot be read by a cursor`);
    this.#replay({ from, to }, path);
    const onlyNew = source?.incrementalWhen;
    if (onlyNew !== undefined && to.mode === "replace" && from[onlyNew] === true) {
      const message = `${onlyNew} leaves out what was read before, and mode replace would leave only the rest in the table; write append or merge`;
      this.#fault("MODE_UNSUPPORTED", [...path, "to", "mode"], message);
    }
    const mayRepeat = source?.repeatsUnless;
    const isIncremental = from.cursor !== undefined || (onlyNew !== undefined && from[onlyNew] === true);
    if (follow !== undefined) {
      const isFollowed = isIncremental || source === undefined || source.incremental === "always";
      this.#follow({ from, to }, isFollowed, onlyNew, path);
    }
    if (mayRepeat !== undefined && isIncremental && to.mode !== "merge" && from[mayRepeat] !== true) {
      const message = `what is read on from a state may come twice, which mode ${to.mode} would double; write merge with a key, or ${mayRepeat}: true to take rows twice`;
      this.#fault("MODE_UNSUPPORTED", [...path, "to", "mode"], message);
    }
    if (columns !== undefined)
      for (const { at, message } of choiceFaults(columns, to.key)) this.#fault("INVALID_VALUE", [...path, ...at], message);
    this.#mode(to.mode, target, to.connection, [...path, "to", "mode"]);
    this.#options(source, source?.sourceOptions, from, FROM_KEYS, [...path, "from"]);
    this.#options(target, target?.targetOptions, to, TO_KEYS, [...path, "to"]);
  }

  #follow({ from, to }: Pick<TransferConfig, "from" | "to">, isFollowed: boolean, onlyNew: string | undefined, path: Path): void {
    const at = [...path, "follow"];
    if (to.mode === "replace")
      this.#fault(
        "MODE_UNSUPPORTED",
        at,
        "what is followed never is a whole table that could take the place of another; write append or merge",
      );
    if (from.dead_letters !== undefined) this.#fault("INVALID_VALUE", at, "dead letters are read again once; leave it out");
    if (from.null_cursor === "dead_letter")
      this.#fault(
        "INVALID_VALUE",
        at,
        "rows without a cursor value would be diverted again by every look; leave them out with from.query or a view",
      );
    if (isFollowed) return;
    const ways = ["from.cursor", ...(onlyNew === undefined ? [] : [`from.${onlyNew}: true`])].join(" or ");
    this.#fault("MODE_UNSUPPORTED", at, `goes on from where the stream was read to, which needs ${ways}`);
  }

  #replay({ from, to }: Pick<TransferConfig, "from" | "to">, path: Path): void {
    if (from.dead_letters === undefined) return;
    if (to.mode === "replace") {
      const message = "dead letters cannot be replayed into a table that is replaced; run the task that left them again";
      this.#fault("MODE_UNSUPPORTED", [...path, "to", "mode"], message);
    }
    if (to.mode === "merge" && from.dead_letters.newest_by === undefined) {
      const message =
        'a dead letter may be older than the row of its key; mode merge needs "newest_by": the column that tells which is newer';
      this.#fault("MISSING_KEY", [...path, "from", "dead_letters"], message);
    }
    if (from.query !== undefined) {
      const message = "rows of a query cannot be read again from dead letters; write the stream that left them";
      this.#fault("INVALID_VALUE", [...path, "from", "query"], message);
    }
  }

  #check(check: CheckConfig, path: Path): void {
    this.#connector(check.connection, ["sql"], path);
    this.#exactlyOne(check, ["table", "query"], path);
  }

  #publish({ from, to }: PublishConfig, path: Path): void {
    this.#connector(from.connection, ["sql"], [...path, "from"]);
    const target = this.#connector(to.connection, ["publish", "destination"], [...path, "to"]);
    if (target === undefined) return;
    if (target.roles.includes("publish")) {
      this.#options(target, target.publishOptions, to, ["connection"], [...path, "to"]);
      return;
    }
    this.#mode(to.mode ?? "replace", target, to.connection, [...path, "to", "mode"]);
    this.#options(target, target.targetOptions, to, PUBLISH_TO_KEYS, [...path, "to"]);
  }

  #wait(wait: WaitConfig, path: Path): void {
    this.#exactlyOne(wait, ["until", "for", "sql", "http", "file", "asset"], path);
    if (wait.sql !== undefined) this.#connector(wait.sql.connection, ["sql"], [...path, "sql"]);
    if (wait.http !== undefined) this.#connector(wait.http.connection, ["http"], [...path, "http"]);
    if (wait.file !== undefined) {
      this.#exactlyOne(wait.file, ["path", "glob"], [...path, "file"]);
      if (wait.file.connection !== undefined) this.#connector(wait.file.connection, ["files"], [...path, "file"]);
    }
    const [length, deadline] = [wait.for === undefined ? undefined : parseDuration(wait.for), waitDeadline(wait)];
    if (length !== undefined && length > (parseDuration(deadline) ?? Infinity)) {
      const message = `${wait.for} is longer than the deadline of ${deadline}, at which the wait ends; give a shorter time or a later deadline`;
      this.#fault("INVALID_VALUE", [...path, "for"], message);
    }
    this.#moment(wait.until, [...path, "until"]);
    this.#moment(wait.asset?.newer_than, [...path, "asset", "newer_than"]);
  }

  /** Who escalates to whom, and whether it can come to that. */
  #approval({ approvers, escalate, deadline }: ApprovalConfig, path: Path): void {
    if (escalate === undefined) return;
    if (approvers === undefined) {
      const message = 'anyone may decide while no "approvers" are named, and escalate widens nothing; name them, or leave escalate out';
      this.#fault("MISSING_KEY", [...path, "approvers"], message);
    }
    if ((parseDuration(escalate.after) ?? 0) >= (parseDuration(deadline) ?? Infinity)) {
      const message = `${escalate.after} is not before the deadline of ${deadline}, at which the approval ends; give a shorter time or a later deadline`;
      this.#fault("INVALID_VALUE", [...path, "escalate", "after"], message);
    }
  }

  #moment(text: string | undefined, path: Path): void {
    if (text !== undefined && !isTemplate(text) && parseMoment(text) === undefined)
      this.#fault("INVALID_VALUE", path, `is no moment; ${MOMENT_HINT}`);
  }

  #command({ run, shell, env }: CommandConfig, path: Path): void {
    const [program = ""] = run;
    if (String(program).trim() === "") this.#fault("INVALID_VALUE", [...path, "run", 0], "names no program");
    if (shell && isTemplate(String(program))) {
      const message = 'an expression inside a shell line would be run as shell; give it as a further entry of "run" and read it as "$1"';
      this.#fault("INVALID_VALUE", [...path, "run", 0], message);
    }
    for (const name of Object.keys(env)) {
      if (!isReservedVariable(name)) continue;
      const message = `${name} cannot be set: it would change which code is run, or is Downbeat's own`;
      this.#fault("INVALID_VALUE", [...path, "env", name], message);
    }
  }

  #file({ action, from, to, overwrite }: FileConfig, path: Path): void {
    if (from.connection !== undefined) this.#connector(from.connection, ["files"], [...path, "from"]);
    if (to?.connection !== undefined) this.#connector(to.connection, ["files"], [...path, "to"]);
    this.#exactlyOne(from, ["path", "glob"], [...path, "from"]);
    const isTransfer = action === "copy" || action === "move";
    if (isTransfer && to === undefined) this.#fault("MISSING_KEY", path, `action ${action} needs "to"`);
    if (!isTransfer && to !== undefined) this.#fault("INVALID_VALUE", [...path, "to"], `action ${action} takes no "to"`);
    if (!isTransfer && overwrite !== undefined) this.#fault("INVALID_VALUE", [...path, "overwrite"], `action ${action} overwrites nothing`);
    if (from.glob !== undefined && to !== undefined && !isTemplate(to.path) && !to.path.endsWith("/"))
      this.#fault("INVALID_VALUE", [...path, "to", "path"], 'the files of a glob go into a folder: end the path with "/"');
  }

  #activity(name: string, path: Path): void {
    const known = Object.keys(this.#catalogue.activities);
    if (known.includes(name)) return;
    const message = `activity "${name}" is not declared in downbeat.config.ts${didYouMean(name, known)}`;
    this.#fault("UNKNOWN_ACTIVITY", [...path, "name"], message, known);
  }

  #exactlyOne(value: Readonly<Record<string, unknown>>, keys: readonly string[], path: Path): void {
    const given = keys.filter((key) => value[key] !== undefined);
    if (given.length === 0) this.#fault("MISSING_KEY", path, `give ${keys.join(" or ")}`, keys);
    if (given.length > 1) this.#fault("INVALID_VALUE", path, `give ${keys.join(" or ")}, not ${given.join(" and ")} at once`);
  }

  #connector(name: string, roles: readonly string[], path: Path): ConnectorFacts | undefined {
    const { connections, connectors } = this.#catalogue;
    const at = [...path, "connection"];
    if (!Object.hasOwn(connections, name)) {
      const known = Object.keys(connections);
      const message = `connection "${name}" does not exist${didYouMean(name, known)}; create it with PUT /v1/connections/${name}`;
      this.#fault("UNKNOWN_CONNECTION", at, message, known);
      return undefined;
    }
    this.#connections.add(name);
    this.#use(name, path.at(-1));
    const kind = connections[name] ?? "";
    const connector = Object.hasOwn(connectors, kind) ? connectors[kind] : undefined;
    if (connector === undefined) {
      const known = Object.keys(connectors);
      const message = `connection "${name}" is of kind "${kind}", which is no known connector${didYouMean(kind, known)}`;
      this.#fault("UNKNOWN_CONNECTOR", at, message, known);
      return undefined;
    }
    if (!roles.some((role) => connector.roles.includes(role))) {
      const message = `connection "${name}" (${kind}) cannot be used as ${roles.join(" or ")}; it can be: ${connector.roles.join(", ")}`;
      this.#fault("ROLE_MISMATCH", at, message, connector.roles);
      return undefined;
    }
    return connector;
  }

  #use(name: string, key: PathPart | undefined): void {
    const used = this.#uses.get(this.#task) ?? new Map<string, Side | undefined>();
    const side = key === "from" ? "source" : key === "to" ? "destination" : undefined;
    used.set(name, used.has(name) && used.get(name) !== side ? undefined : side);
    this.#uses.set(this.#task, used);
  }

  #mode(mode: string, target: ConnectorFacts | undefined, connection: string, path: Path): void {
    if (target?.modes === undefined || target.modes.includes(mode)) return;
    const message = `connection "${connection}" cannot write in mode ${mode}; it can: ${target.modes.join(", ")}`;
    this.#fault("MODE_UNSUPPORTED", path, message, target.modes);
  }

  /** Keys beyond the operator's own belong to the connector. Values with expressions inside are checked when they have been evaluated. */
  #options(
    connector: ConnectorFacts | undefined,
    schema: OptionsSchema | undefined,
    value: Readonly<Record<string, unknown>>,
    ownKeys: readonly string[],
    path: Path,
  ): void {
    if (connector === undefined) return;
    const optionKeys = Object.keys(schema?.shape ?? {});
    const known = [...ownKeys, ...optionKeys];
    const options: Record<string, unknown> = {};
    for (const [key, option] of Object.entries(value)) {
      if (optionKeys.includes(key)) options[key] = option;
      else if (!ownKeys.includes(key))
        this.#fault("UNKNOWN_KEY", [...path, key], `"${key}" is not a key here${didYouMean(key, known)}`, known);
    }
    const parsed = schema?.safeParse(options);
    if (parsed === undefined || parsed.success) return;
    for (const issue of parsed.error.issues) {
      const at = issue.path.filter((part): part is PathPart => typeof part !== "symbol");
      const found = at.reduce<unknown>((inner, part) => (inner as Readonly<Record<PathPart, unknown>> | undefined)?.[part], options);
      if (found !== undefined && isTemplate(JSON.stringify(found))) continue;
      this.#fault("INVALID_OPTIONS", [...path, ...at], issue.message);
    }
  }
}

/** A moment or a duration says itself how long it takes, so nothing shorter is meant where no deadline is given. */
export const waitDeadline = ({ until, for: duration, deadline }: WaitConfig): string =>
  deadline ?? (until === undefined && duration === undefined ? "7d" : "365d");

const isZero = (duration: string): boolean => isTemplate(duration) || parseDuration(duration) === 0;

/** The search path and the dynamic loader decide which code an allowed program is. */
const isReservedVariable = (name: string): boolean => /^(PATH|ENV|BASH_ENV|(LD|DYLD|DOWNBEAT)_.*)$/.test(name);
