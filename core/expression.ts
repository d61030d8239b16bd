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
  /** Of the condition of a wait alone: what an HTTP API has answered. */
  readonly response?: JsonObject;
  /** Bytes of the outputs that are not here but go by reference, by task id: an expression that reads one fails. */
  readonly large?: Readonly<Record<string, number>>;
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
const RESPONSE_ROOTS = [...ROOTS, "response"] as const;
const EVENT_ROOTS = ["event", "events"] as const;

/** Of the text of one expression, beside its length. */
export const CEL_LIMITS = { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 200, maxCallArguments: 16 } as const;

type Evaluate = (context: Record<string, unknown>) => unknown;

const createEnvironment = (roots: readonly string[]): Environment => {
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits: CEL_LIMITS });
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
/** Made where it is used: by a worker, or at compile. */
let responseDialect: Dialect | undefined;

const ofResponses = (): Dialect => {
  responseDialect ??= { environment: createEnvironment(RESPONSE_ROOTS), cache: new Map() };
  return responseDialect;
};

const dialectOf = (scope: Scope | EventScope): Dialect => {
  if ("events" in scope) return EVENT_DIALECT;
  return scope.response === undefined ? RUN_DIALECT : ofResponses();
};

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

export interface DeclaredCall {
  readonly name: string;
  /** Undefined: it is called with its arguments alone. */
  readonly receiver: string | undefined;
  readonly arguments: readonly string[];
  readonly gives: string;
}

/** What the library lets expressions call, each form by itself; some of it is refused nevertheless. */
export const declaredCalls = (): readonly DeclaredCall[] =>
  RUN_DIALECT.environment.getDefinitions().functions.map(({ name, receiverType, params, returnType }) => ({
    name,
    receiver: receiverType ?? undefined,
    arguments: params.map(({ type }) => type),
    gives: returnType,
  }));

/** Parses without evaluating; says what the expression reads, or in one line what is wrong with it. */
export const checkExpression = (source: string): ExpressionCheck => checkIn(source, RUN_DIALECT);

/** The same for a condition that reads `response` besides. */
export const checkResponseCondition = (source: string): ExpressionCheck => checkIn(source, ofResponses());

const checkIn = (source: string, dialect: Dialect): ExpressionCheck => {
  try {
    const { references, fault } = parse(source, dialect);
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
export const NESTED_LIST_LENGTH = 500;

const longestList = (value: Json): number => {
  if (typeof value !== "object" || value === null) return 0;
  const inner: readonly Json[] = Array.isArray(value) ? value : Object.values(value);
  return inner.reduce<number>((longest, entry) => Math.max(longest, longestList(entry)), Array.isArray(value) ? value.length : 0);
};

const refuseLongLists = (scope: Scope | EventScope): void => {
  const read: readonly Json[] =
    "events" in scope
      ? [scope.events as Json]
      : [scope.params, scope.response ?? null, ...Object.values(scope.tasks).map((task) => task.output)];
  const longest = Math.max(...read.map(longestList));
  if (longest <= NESTED_LIST_LENGTH) return;
  throw new Error(`it walks a list inside a list, and one of them has ${longest} entries; the limit is ${NESTED_LIST_LENGTH}`);
};

const refuseLargeOutputs = ({ outputs }: References, { large = {} }: Scope): void => {
  const id = outputs.find((name) => Object.hasOwn(large, name));
  if (id === undefined) return;
  throw new Error(
    `the output of task "${id}" is large (${large[id]} bytes of JSON) and goes by reference; only the configuration of a task that a worker carries out can read it: let such a task, a sql task with "output" for one, select what is needed here`,
  );
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
  const { params, run, tasks, each = {}, response } = scope;
  const context = { params: paramsToCel(params), run: toCel(run), tasks: toCel(tasks), each: toCel(each) };
  return response === undefined ? context : { ...context, response: toCel(response) };
};

/** Evaluates one expression. Throws EXPRESSION_FAILED naming it. */
export const evaluateExpression = (source: string, scope: Scope | EventScope): Json => {
  let value: unknown;
  try {
    const { evaluate, references, fault } = parse(source, dialectOf(scope));
    if (fault !== undefined) throw new Error(fault);
    if (references.nested) refuseLongLists(scope);
    if ("tasks" in scope) refuseLargeOutputs(references, scope);
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
