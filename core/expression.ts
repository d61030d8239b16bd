// Expressions: CEL in `when` and inside `${{ … }}`, bounded and deterministic. Runs in activities and in the workflow sandbox alike.

import { Environment } from "@marcbachmann/cel-js";
import { DownbeatError } from "./errors.ts";
import { readReferences, type AstNode, type References } from "./expression-references.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { isTemplate, parseTemplate, wholeTemplate } from "./templates.ts";

/** What expressions can read. */
export interface Scope {
  readonly params: JsonObject;
  readonly run: JsonObject;
  readonly tasks: Readonly<Record<string, { readonly status: string; readonly output: Json }>>;
  /** Of a task with `for_each`: the item's own values. */
  readonly each?: JsonObject;
}

/** What expressions of a trigger can read: the events of a run that is to be started, and the newest of them. */
export interface EventScope {
  readonly event: JsonObject;
  readonly events: readonly JsonObject[];
}

export type ExpressionCheck = ({ readonly ok: true } & References) | { readonly ok: false; readonly message: string };

/** What expressions read of the data interval of a run that has none. */
export const NO_INTERVAL = { start: null, end: null } as const;

const ROOTS = ["params", "run", "tasks", "each"] as const;
const EVENT_ROOTS = ["event", "events"] as const;

type Evaluate = (context: Record<string, unknown>) => unknown;

const createEnvironment = (roots: readonly string[]): Environment => {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 200, maxCallArguments: 16 },
  });
  for (const root of roots) environment.registerVariable(root, "dyn");
  // Whole numbers come as int and fractions as double; people mix them without a thought.
  const mixed: Readonly<Record<string, (left: number, right: number) => number>> = {
    "+": (left, right) => left + right,
    "-": (left, right) => left - right,
    "*": (left, right) => left * right,
    "/": (left, right) => left / right,
  };
  for (const [operator, apply] of Object.entries(mixed)) {
    const handler = (left: number | bigint, right: number | bigint): number => apply(Number(left), Number(right));
    environment.registerOperator(`double ${operator} int`, handler);
    environment.registerOperator(`int ${operator} double`, handler);
  }
  return environment;
};

interface Parsed {
  readonly evaluate: Evaluate;
  readonly references: References;
  /** What is wrong with its names and types, found without evaluating it. */
  readonly fault: string | undefined;
}

interface Dialect {
  readonly environment: Environment;
  readonly cache: Map<string, Parsed>;
}

const RUN_DIALECT: Dialect = { environment: createEnvironment(ROOTS), cache: new Map() };
const EVENT_DIALECT: Dialect = { environment: createEnvironment(EVENT_ROOTS), cache: new Map() };
const CACHE_SIZE = 1_000;

const parse = (source: string, { environment, cache }: Dialect): Parsed => {
  const known = cache.get(source);
  if (known !== undefined) return known;
  if (source.length > LIMITS.expressionLength) throw new Error(`it is longer than ${LIMITS.expressionLength} characters`);
  const evaluate = environment.parse(source);
  const { valid, error } = evaluate.check();
  const { refused, ...references } = readReferences(evaluate.ast as unknown as AstNode);
  const fault = refused ?? (valid ? undefined : withHint(firstLine(error), source));
  const parsed: Parsed = { evaluate: (context) => evaluate(context), references, fault };
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(source, parsed);
  return parsed;
};

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

/** `tasks.a-b` is a subtraction to CEL; nobody means that. */
const withHint = (message: string, source: string): string => {
  const id = /\btasks\.(\w+(?:-\w+)+)/.exec(source)?.[1];
  return id !== undefined && message.startsWith("Unknown variable") ? `${message}; write tasks["${id}"] for an id with "-" in it` : message;
};

/** Parses without evaluating; says what the expression reads, or in one line what is wrong with it. */
export const checkExpression = (source: string): ExpressionCheck => {
  try {
    const { references, fault } = parse(source, RUN_DIALECT);
    return fault === undefined ? { ok: true, ...references } : { ok: false, message: fault };
  } catch (error) {
    return { ok: false, message: firstLine(error) };
  }
};

/** The same for a trigger's expression; undefined: nothing is wrong with it. */
export const checkEventExpression = (source: string): string | undefined => {
  try {
    return parse(source, EVENT_DIALECT).fault;
  } catch (error) {
    return firstLine(error);
  }
};

/** JSON's whole numbers become CEL's int, so that `params.n + 1` means what it says. */
const toCel = (value: unknown): unknown => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toCel(entry)]));
};

/** Params are the same object in every evaluation of a run, and can be large. */
const converted = new WeakMap<JsonObject, unknown>();

const paramsToCel = (params: JsonObject): unknown => {
  const known = converted.get(params) ?? toCel(params);
  converted.set(params, known);
  return known;
};

/** Two lists of this length, one walked inside the other, stay far below the 5 s that a workflow may think. */
const NESTED_LIST_LENGTH = 500;

const longestList = (value: Json): number => {
  if (typeof value !== "object" || value === null) return 0;
  const inner: readonly Json[] = Array.isArray(value) ? value : Object.values(value);
  return inner.reduce<number>((longest, entry) => Math.max(longest, longestList(entry)), Array.isArray(value) ? value.length : 0);
};

const refuseLongLists = (scope: Scope | EventScope): void => {
  const read: readonly Json[] =
    "events" in scope ? [scope.events as Json] : [scope.params, ...Object.values(scope.tasks).map((task) => task.output)];
  const longest = Math.max(...read.map(longestList));
  if (longest <= NESTED_LIST_LENGTH) return;
  throw new Error(`it walks a list inside a list, and one of them has ${longest} entries; the limit is ${NESTED_LIST_LENGTH}`);
};

const fromCel = (value: unknown, source: string): Json => {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw new DownbeatError(
      "EXPRESSION_FAILED",
      `expression "${source}" gives ${value}, which JSON has no word for; is it a division by 0?`,
    );
  }
  if (Array.isArray(value)) return value.map((entry) => fromCel(entry, source));
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, entry]) => [String(key), fromCel(entry, source)]));
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fromCel(entry, source)]));
  }
  throw new DownbeatError("EXPRESSION_FAILED", `expression "${source}" gives a value that is not JSON; convert it with string()`);
};

const contextOf = (scope: Scope | EventScope): Record<string, unknown> => {
  if ("events" in scope) return { event: toCel(scope.event), events: toCel(scope.events) };
  const { params, run, tasks, each = {} } = scope;
  return { params: paramsToCel(params), run: toCel(run), tasks: toCel(tasks), each: toCel(each) };
};

/** Evaluates one expression. Throws EXPRESSION_FAILED naming it. */
export const evaluateExpression = (source: string, scope: Scope | EventScope): Json => {
  let value: unknown;
  try {
    const { evaluate, references, fault } = parse(source, "events" in scope ? EVENT_DIALECT : RUN_DIALECT);
    if (fault !== undefined) throw new Error(fault);
    if (references.nested) refuseLongLists(scope);
    value = evaluate(contextOf(scope));
  } catch (error) {
    throw new DownbeatError("EXPRESSION_FAILED", `expression "${source.slice(0, 500)}" failed: ${firstLine(error)}`, { cause: error });
  }
  return fromCel(value, source);
};

/** The CEL source of a `when`, which may be written bare or inside one `${{ … }}`. */
export const conditionSource = (when: string): string => wholeTemplate(when) ?? when.trim();

/** A `when`: anything but a boolean is an error. */
export const evaluateCondition = (when: string, scope: Scope | EventScope): boolean => {
  const value = evaluateExpression(conditionSource(when), scope);
  if (typeof value === "boolean") return value;
  throw new DownbeatError("EXPRESSION_FAILED", `condition "${when}" gives ${JSON.stringify(value)}, not true or false`);
};

/** Replaces every `${{ … }}` in a JSON value. A string that is exactly one template takes the value's own type. */
export const renderTemplates = (value: Json, scope: Scope | EventScope): Json => {
  if (typeof value === "string") {
    if (!isTemplate(value)) return value;
    const whole = wholeTemplate(value);
    if (whole !== undefined) return evaluateExpression(whole, scope);
    const { parts, closed } = parseTemplate(value);
    if (!closed) throw new DownbeatError("EXPRESSION_FAILED", `a "\${{" without its "}}" in: ${value.slice(0, 200)}`);
    return parts.map((part) => ("text" in part ? part.text : asText(evaluateExpression(part.source, scope)))).join("");
  }
  if (Array.isArray(value)) return value.map((entry: Json) => renderTemplates(entry, scope));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, renderTemplates(entry as Json, scope)]));
};

const asText = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));
