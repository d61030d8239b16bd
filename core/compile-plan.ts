// compilePlan: definition + catalogue → plan, or every fault of meaning at once. O(tasks + edges).

import type { Definition, Locate, TaskDefinition } from "./definition.ts";
import { parseDuration } from "./duration.ts";
import { checkExpression, templatesIn, unwrapTemplate } from "./expression.ts";
import { didYouMean, formatPath, type Issue, type IssueCode, type PathPart } from "./issues.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { CompiledPlan, Operator, Plan, PlanTask, Policy } from "./plan.ts";

/** The part of a zod object schema that compile needs; the registry passes the real ones. */
export interface OptionsSchema {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true }
    | {
        readonly success: false;
        readonly error: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
      };
}

export interface ConnectorFacts {
  readonly roles: readonly string[];
  readonly modes?: readonly string[];
  readonly incremental?: "cursor" | "always" | "never";
  readonly sourceOptions?: OptionsSchema;
  readonly targetOptions?: OptionsSchema;
  readonly publishOptions?: OptionsSchema;
}

/** What definitions may name. */
export interface Catalogue {
  /** Connection name → connector kind. */
  readonly connections: Readonly<Record<string, string>>;
  readonly connectors: Readonly<Record<string, ConnectorFacts>>;
  /** A user's own activities: name → task queue of the workers that have it. */
  readonly activities: Readonly<Record<string, { readonly queue?: string }>>;
}

export type CompileResult =
  | { readonly ok: true; readonly compiled: CompiledPlan }
  | { readonly ok: false; readonly issues: readonly Issue[] };

const OPERATORS: readonly Operator[] = ["transfer", "sql", "http", "check", "publish", "activity"];

const DEFAULTS = { attempts: 3, backoff: "2s", maxBackoff: "5m", attempt: "30m", total: "4h", heartbeat: "10s" } as const;

export const compilePlan = (definition: Definition, catalogue: Catalogue, locate: Locate = () => undefined): CompileResult => {
  const compilation = new Compilation(definition, catalogue, locate);
  return compilation.run();
};

class Compilation {
  readonly #definition: Definition;
  readonly #catalogue: Catalogue;
  readonly #locate: Locate;
  readonly #issues: Issue[] = [];
  readonly #index = new Map<string, number>();
  readonly #policies = new Map<string, number>();
  readonly #connections = new Set<string>();

  constructor(definition: Definition, catalogue: Catalogue, locate: Locate) {
    this.#definition = definition;
    this.#catalogue = catalogue;
    this.#locate = locate;
  }

  run(): CompileResult {
    const { tasks, failure_policy: failurePolicy } = this.#definition;
    for (const [position, task] of tasks.entries()) {
      if (this.#index.has(task.id)) this.#fault("DUPLICATE_TASK_ID", ["tasks", position, "id"], `task id "${task.id}" is used twice`);
      else this.#index.set(task.id, position);
    }
    const needs = tasks.map((task, position) => this.#needs(task, position));
    this.#refuseCycles(needs);
    const upstream = upstreamOf(needs);
    const configs: Record<string, JsonObject> = {};
    const planTasks = tasks.map((task, position): PlanTask => {
      const operator = this.#operator(task, position);
      const reads = this.#reads(task, position, operator, upstream(position));
      if (operator === undefined) return { id: task.id, needs: [], rule: "all_success", operator: "sql", summary: "", policy: 0 };
      configs[task.id] = this.#config(task, position, operator);
      return this.#planTask(task, operator, needs[position] ?? [], reads);
    });
    const plan: Plan = { failurePolicy, policies: [...this.#policies.keys()].map((text) => JSON.parse(text) as Policy), tasks: planTasks };
    const size = JSON.stringify(plan).length;
    if (size > LIMITS.planBytes) {
      const message = `the plan's graph is ${size} bytes, the limit is ${LIMITS.planBytes}; shorten activity inputs and conditions, or split the pipeline`;
      this.#fault("TOO_LARGE", [], message);
    }
    if (this.#issues.length > 0) return { ok: false, issues: this.#issues };
    return { ok: true, compiled: { plan, configs, connections: [...this.#connections] } };
  }

  #fault(code: IssueCode, path: readonly PathPart[], message: string, known?: readonly string[]): void {
    this.#issues.push({ code, path: formatPath(path), message, ...(known === undefined ? {} : { known }), ...this.#locate(path) });
  }

  #needs(task: TaskDefinition, position: number): readonly number[] {
    const seen = new Set<string>();
    return task.needs.flatMap((need, place) => {
      const path = ["tasks", position, "needs", place];
      if (seen.has(need)) {
        this.#fault("DUPLICATE_DEPENDENCY", path, `task "${task.id}" needs "${need}" twice`);
        return [];
      }
      seen.add(need);
      if (need === task.id) {
        this.#fault("SELF_DEPENDENCY", path, `task "${task.id}" needs itself`);
        return [];
      }
      const index = this.#index.get(need);
      if (index !== undefined) return [index];
      const known = [...this.#index.keys()];
      this.#fault(
        "UNKNOWN_DEPENDENCY",
        path,
        `task "${task.id}" needs "${need}", which does not exist${didYouMean(need, known)}`,
        known.slice(0, 50),
      );
      return [];
    });
  }

  /** Depth-first without recursion; each cycle is named with its members in the order in which they need each other. */
  #refuseCycles(needs: readonly (readonly number[])[]): void {
    const state = new Uint8Array(needs.length);
    for (let root = 0; root < needs.length; root += 1) {
      if (state[root] !== 0) continue;
      const path: number[] = [root];
      const next: number[] = [0];
      state[root] = 1;
      while (path.length > 0) {
        const current = path.at(-1) ?? 0;
        const place = next.at(-1) ?? 0;
        const need = needs[current]?.[place];
        if (need === undefined) {
          state[current] = 2;
          path.pop();
          next.pop();
          continue;
        }
        next[next.length - 1] = place + 1;
        if (state[need] === 1) {
          const members = [...path.slice(path.indexOf(need)), need].map((index) => this.#definition.tasks[index]?.id ?? "");
          this.#fault(
            "CYCLE",
            ["tasks", current, "needs", place],
            `tasks need each other in a circle: ${members.join(" → ")}`,
            members.slice(0, -1),
          );
        } else if (state[need] === 0) {
          state[need] = 1;
          path.push(need);
          next.push(0);
        }
      }
    }
  }

  #operator(task: TaskDefinition, position: number): Operator | undefined {
    const given = OPERATORS.filter((operator) => task[operator] !== undefined);
    const [operator] = given;
    if (operator === undefined) {
      this.#fault(
        "NO_OPERATOR",
        ["tasks", position],
        `task "${task.id}" has no operator; give it one of: ${OPERATORS.join(", ")}`,
        OPERATORS,
      );
    } else if (given.length > 1) {
      this.#fault(
        "SEVERAL_OPERATORS",
        ["tasks", position],
        `task "${task.id}" has ${given.join(" and ")}; a task has exactly one operator`,
      );
    }
    return operator;
  }

  #reads(task: TaskDefinition, position: number, operator: Operator | undefined, isUpstream: (task: number) => boolean): readonly string[] {
    const reads = new Set<string>();
    const check = (source: string, path: readonly PathPart[]): void => {
      const checked = checkExpression(source);
      if (!checked.ok) {
        this.#fault("INVALID_EXPRESSION", path, `expression "${source}": ${checked.message}`);
        return;
      }
      for (const name of checked.tasks) {
        const index = this.#index.get(name);
        if (index === undefined || !isUpstream(index)) {
          const reason =
            index === undefined
              ? `does not exist${didYouMean(name, [...this.#index.keys()])}`
              : `is not upstream of "${task.id}"; add it to needs`;
          this.#fault("UNKNOWN_REFERENCE", path, `expression "${source}" reads task "${name}", which ${reason}`);
        } else reads.add(name);
      }
      const params = paramNames(this.#definition);
      for (const name of checked.params) {
        if (params !== undefined && !params.includes(name)) {
          this.#fault(
            "UNKNOWN_REFERENCE",
            path,
            `expression "${source}" reads param "${name}", which params does not declare${didYouMean(name, params)}`,
            params,
          );
        }
      }
    };
    if (task.when !== undefined) check(unwrapTemplate(task.when), ["tasks", position, "when"]);
    if (operator !== undefined) {
      eachString(task[operator], ["tasks", position, operator], (text, path) => {
        for (const source of templatesIn(text)) check(source, path);
      });
    }
    return [...reads];
  }

  #config(task: TaskDefinition, position: number, operator: Operator): JsonObject {
    const path = ["tasks", position, operator];
    switch (operator) {
      case "transfer": {
        const { from, to } = task.transfer ?? unreachable();
        const source = this.#connector(from.connection, "source", [...path, "from"]);
        const target = this.#connector(to.connection, "destination", [...path, "to"]);
        if ((from.stream === undefined) === (from.query === undefined))
          this.#fault("INVALID_VALUE", [...path, "from"], "give either stream or query");
        if (to.mode === "merge" && to.key.length === 0)
          this.#fault("MISSING_KEY", [...path, "to"], 'mode merge needs "key": the columns that make a row unique');
        if (from.lookback !== undefined && to.mode !== "merge" && !isZeroDuration(from.lookback)) {
          this.#fault(
            "MODE_UNSUPPORTED",
            [...path, "from", "lookback"],
            `lookback reads rows again, which only mode merge takes without doubling them; the mode is ${to.mode}`,
          );
        }
        if (from.cursor !== undefined && source?.incremental === "never") {
          this.#fault("MODE_UNSUPPORTED", [...path, "from", "cursor"], `connection "${from.connection}" cannot read by a cursor`);
        }
        this.#mode(to.mode, target, to.connection, [...path, "to", "mode"]);
        this.#options(
          source?.sourceOptions,
          rest(from, ["connection", "stream", "query", "cursor", "key", "lookback", "null_cursor"]),
          [...path, "from"],
          source,
        );
        this.#options(target?.targetOptions, rest(to, ["connection", "table", "mode", "key", "schema"]), [...path, "to"], target);
        break;
      }
      case "sql":
        this.#connector((task.sql ?? unreachable()).connection, "sql", path);
        break;
      case "http":
        this.#connector((task.http ?? unreachable()).connection, "http", path);
        break;
      case "check": {
        const check = task.check ?? unreachable();
        this.#connector(check.connection, "sql", path);
        if ((check.table === undefined) === (check.query === undefined)) this.#fault("INVALID_VALUE", path, "give either table or query");
        break;
      }
      case "publish": {
        const { from, to } = task.publish ?? unreachable();
        this.#connector(from.connection, "sql", [...path, "from"]);
        const target = this.#connector(to.connection, ["publish", "destination"], [...path, "to"]);
        if (target?.roles.includes("publish")) {
          this.#options(target.publishOptions, rest(to, ["connection"]), [...path, "to"], target);
        } else if (target !== undefined) {
          this.#mode(to.mode ?? "replace", target, to.connection, [...path, "to", "mode"]);
          this.#options(target.targetOptions, rest(to, ["connection", "table", "mode"]), [...path, "to"], target);
        }
        break;
      }
      case "activity": {
        const { name } = task.activity ?? unreachable();
        const known = Object.keys(this.#catalogue.activities);
        if (!Object.hasOwn(this.#catalogue.activities, name)) {
          this.#fault(
            "UNKNOWN_ACTIVITY",
            [...path, "name"],
            `activity "${name}" is not declared in downbeat.config.ts${didYouMean(name, known)}`,
            known,
          );
        }
        return {};
      }
    }
    return task[operator] as unknown as JsonObject;
  }

  #connector(name: string, role: string | readonly string[], path: readonly PathPart[]): ConnectorFacts | undefined {
    const { connections, connectors } = this.#catalogue;
    const at = [...path, "connection"];
    if (!Object.hasOwn(connections, name)) {
      const known = Object.keys(connections);
      this.#fault(
        "UNKNOWN_CONNECTION",
        at,
        `connection "${name}" does not exist${didYouMean(name, known)}; create it with PUT /v1/connections/${name}`,
        known.slice(0, 50),
      );
      return undefined;
    }
    this.#connections.add(name);
    const kind = connections[name] ?? "";
    const connector = Object.hasOwn(connectors, kind) ? connectors[kind] : undefined;
    if (connector === undefined) {
      const known = Object.keys(connectors);
      this.#fault(
        "UNKNOWN_CONNECTOR",
        at,
        `connection "${name}" is of kind "${kind}", which is no known connector${didYouMean(kind, known)}`,
        known,
      );
      return undefined;
    }
    const roles = typeof role === "string" ? [role] : role;
    if (!roles.some((wanted) => connector.roles.includes(wanted))) {
      const message = `connection "${name}" (${kind}) cannot be used as ${roles.join(" or ")}; it can be: ${connector.roles.join(", ")}`;
      this.#fault("ROLE_MISMATCH", at, message, connector.roles);
    }
    return connector;
  }

  #mode(mode: string, target: ConnectorFacts | undefined, connection: string, path: readonly PathPart[]): void {
    if (target?.modes === undefined || target.modes.includes(mode)) return;
    this.#fault(
      "MODE_UNSUPPORTED",
      path,
      `connection "${connection}" cannot write in mode ${mode}; it can: ${target.modes.join(", ")}`,
      target.modes,
    );
  }

  /** Options with expressions inside are checked when they are evaluated; the rest is checked now. */
  #options(
    schema: OptionsSchema | undefined,
    options: Readonly<Record<string, unknown>>,
    path: readonly PathPart[],
    connector: ConnectorFacts | undefined,
  ): void {
    if (connector === undefined) return;
    const hasTemplate = JSON.stringify(options).includes("${{");
    if (schema === undefined) {
      for (const key of Object.keys(options))
        this.#fault("UNKNOWN_KEY", [...path, key], `"${key}" is not a key here: the connector takes no further options`);
      return;
    }
    if (hasTemplate) return;
    const parsed = schema.safeParse(options);
    if (parsed.success) return;
    for (const issue of parsed.error.issues) {
      this.#fault("INVALID_OPTIONS", [...path, ...issue.path.filter((part): part is PathPart => typeof part !== "symbol")], issue.message);
    }
  }

  #planTask(task: TaskDefinition, operator: Operator, needs: readonly number[], reads: readonly string[]): PlanTask {
    const { defaults } = this.#definition;
    const queue = task.queue ?? (operator === "activity" ? this.#catalogue.activities[task.activity?.name ?? ""]?.queue : undefined);
    return {
      id: task.id,
      needs,
      rule: task.trigger_rule ?? defaults?.trigger_rule ?? "all_success",
      ...(task.when === undefined ? {} : { when: task.when }),
      operator,
      summary: summaryOf(task, operator),
      policy: this.#policy(task, operator),
      ...(queue === undefined ? {} : { queue }),
      ...(reads.length === 0 ? {} : { reads }),
      ...(task.activity === undefined ? {} : { activity: { name: task.activity.name, input: task.activity.input as Json } }),
    };
  }

  #policy(task: TaskDefinition, operator: Operator): number {
    const { defaults } = this.#definition;
    const retry = { ...defaults?.retry, ...task.retry };
    const timeout = { ...defaults?.timeout, ...task.timeout };
    const milliseconds = (text: string): number => parseDuration(text) ?? 0;
    // A user's own activity may not heartbeat at all: only one that says so is held to it.
    const heartbeatMs =
      operator === "activity" && task.timeout?.heartbeat === undefined ? 0 : milliseconds(timeout.heartbeat ?? DEFAULTS.heartbeat);
    const policy: Policy = {
      retry: {
        attempts: retry.attempts ?? DEFAULTS.attempts,
        backoffMs: milliseconds(retry.backoff ?? DEFAULTS.backoff),
        maxBackoffMs: milliseconds(retry.max_backoff ?? DEFAULTS.maxBackoff),
        neverOn: retry.never_on ?? [],
      },
      timeout: {
        attemptMs: milliseconds(timeout.attempt ?? DEFAULTS.attempt),
        totalMs: milliseconds(timeout.total ?? DEFAULTS.total),
        heartbeatMs,
      },
    };
    const text = JSON.stringify(policy);
    const known = this.#policies.get(text);
    if (known !== undefined) return known;
    this.#policies.set(text, this.#policies.size);
    return this.#policies.size - 1;
  }
}

const unreachable = (): never => {
  throw new Error("an operator that was found is gone");
};

const isZeroDuration = (text: string): boolean => text.includes("${{") || parseDuration(text) === 0;

const rest = (value: Readonly<Record<string, unknown>>, known: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !known.includes(key)));

const paramNames = ({ params }: Definition): readonly string[] | undefined => {
  const properties = params?.["properties"];
  if (params === undefined) return [];
  return typeof properties === "object" && properties !== null && !Array.isArray(properties) ? Object.keys(properties) : undefined;
};

const eachString = (value: unknown, path: readonly PathPart[], visit: (text: string, path: readonly PathPart[]) => void): void => {
  if (typeof value === "string") visit(value, path);
  else if (Array.isArray(value)) for (const [index, entry] of value.entries()) eachString(entry, [...path, index], visit);
  else if (typeof value === "object" && value !== null)
    for (const [key, entry] of Object.entries(value)) eachString(entry, [...path, key], visit);
};

/** Whether a task lies anywhere above another; walked only for tasks whose expressions ask. */
const upstreamOf = (needs: readonly (readonly number[])[]): ((task: number) => (candidate: number) => boolean) => {
  return (task) => {
    let above: Set<number> | undefined;
    return (candidate) => {
      if (above === undefined) {
        above = new Set(needs[task]);
        for (const index of above) for (const need of needs[index] ?? []) above.add(need);
      }
      return above.has(candidate);
    };
  };
};

const SUMMARY_LENGTH = 200;

const summaryOf = (task: TaskDefinition, operator: Operator): string => {
  const text = ((): string => {
    switch (operator) {
      case "transfer":
        return `${task.transfer?.from.connection}.${task.transfer?.from.stream ?? "query"} → ${task.transfer?.to.connection}.${task.transfer?.to.table}`;
      case "sql":
        return `SQL on ${task.sql?.connection}`;
      case "http":
        return `${task.http?.method} ${task.http?.connection}${task.http?.path ?? ""}`;
      case "check":
        return `${task.check?.expect.length} checks on ${task.check?.connection}.${task.check?.table ?? "query"}`;
      case "publish":
        return `${task.publish?.from.connection} → ${task.publish?.to.connection}`;
      case "activity":
        return `activity ${task.activity?.name}`;
    }
  })();
  return `${task.id}: ${text}`.slice(0, SUMMARY_LENGTH);
};
