// Expressions: CEL in `when` and inside `${{ … }}`, bounded and deterministic. Runs in activities and in the workflow sandbox alike.

import { Environment } from "@marcbachmann/cel-js";
import { DownbeatError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";

/** What expressions can read. */
export interface Scope {
  readonly params: JsonObject;
  readonly run: JsonObject;
  readonly tasks: Readonly<Record<string, { readonly status: string; readonly output: Json }>>;
}

export interface References {
  readonly tasks: readonly string[];
  readonly params: readonly string[];
}

export type ExpressionCheck = ({ readonly ok: true } & References) | { readonly ok: false; readonly message: string };

const ROOTS = ["params", "run", "tasks"] as const;

interface AstNode {
  readonly op: string;
  readonly args: unknown;
}

type Evaluate = (context: Record<string, unknown>) => unknown;

const createEnvironment = (): Environment => {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 200, maxCallArguments: 16 },
  });
  for (const root of ROOTS) environment.registerVariable(root, "dyn");
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

const environment = createEnvironment();
const cache = new Map<string, { readonly evaluate: Evaluate; readonly ast: AstNode }>();
const CACHE_SIZE = 1_000;

const parse = (source: string): { readonly evaluate: Evaluate; readonly ast: AstNode } => {
  const known = cache.get(source);
  if (known !== undefined) return known;
  const evaluate = environment.parse(source);
  const parsed = { evaluate: (context: Record<string, unknown>) => evaluate(context), ast: evaluate.ast as unknown as AstNode };
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(source, parsed);
  return parsed;
};

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

const isNode = (value: unknown): value is AstNode => typeof value === "object" && value !== null && "op" in value && "args" in value;

/** Walks the tree for what it reads: `tasks.x`, `tasks["a-b"]`, `params.y`; and for what is not offered. */
const walk = (node: unknown, found: { tasks: Set<string>; params: Set<string>; refused: string | undefined }): void => {
  if (Array.isArray(node)) {
    for (const entry of node) walk(entry, found);
    return;
  }
  if (!isNode(node)) return;
  const args: readonly unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  // A regular expression can be made to run for ever, and nothing can interrupt it.
  if ((node.op === "call" || node.op === "rcall") && args[0] === "matches")
    found.refused = "matches() is not offered; use contains(), startsWith() or endsWith()";
  if (node.op === "." || node.op === "[]") {
    const [object, member] = args;
    const name =
      typeof member === "string"
        ? member
        : isNode(member) && member.op === "value" && typeof member.args === "string"
          ? member.args
          : undefined;
    if (isNode(object) && object.op === "id" && name !== undefined) {
      if (object.args === "tasks") found.tasks.add(name);
      if (object.args === "params") found.params.add(name);
    }
  }
  walk(args, found);
};

/** Parses without evaluating; says what the expression reads, or in one line what is wrong with it. */
export const checkExpression = (source: string): ExpressionCheck => {
  if (source.length > LIMITS.expressionLength) return { ok: false, message: `is longer than ${LIMITS.expressionLength} characters` };
  try {
    const { ast } = parse(source);
    const types = environment.check(source);
    if (!types.valid) return { ok: false, message: firstLine(types.error) };
    const found = { tasks: new Set<string>(), params: new Set<string>(), refused: undefined as string | undefined };
    walk(ast, found);
    if (found.refused !== undefined) return { ok: false, message: found.refused };
    return { ok: true, tasks: [...found.tasks], params: [...found.params] };
  } catch (error) {
    return { ok: false, message: firstLine(error) };
  }
};

/** JSON's whole numbers become CEL's int, so that `params.n + 1` means what it says. */
const toCel = (value: unknown): unknown => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toCel(entry)]));
};

const fromCel = (value: unknown, source: string): Json => {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value;
  if (Array.isArray(value)) return value.map((entry) => fromCel(entry, source));
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, entry]) => [String(key), fromCel(entry, source)]));
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fromCel(entry, source)]));
  }
  throw new DownbeatError("EXPRESSION_FAILED", `expression "${source}" gives a value that is not JSON; convert it with string()`);
};

/** Evaluates one expression. Throws EXPRESSION_FAILED naming it. */
export const evaluateExpression = (source: string, scope: Scope): Json => {
  let value: unknown;
  try {
    value = parse(source).evaluate({ params: toCel(scope.params), run: toCel(scope.run), tasks: toCel(scope.tasks) });
  } catch (error) {
    throw new DownbeatError("EXPRESSION_FAILED", `expression "${source}" failed: ${firstLine(error)}`, { cause: error });
  }
  return fromCel(value, source);
};

/** A `when`: anything but a boolean is an error. */
export const evaluateCondition = (source: string, scope: Scope): boolean => {
  const value = evaluateExpression(unwrapTemplate(source), scope);
  if (typeof value === "boolean") return value;
  throw new DownbeatError("EXPRESSION_FAILED", `condition "${source}" gives ${JSON.stringify(value)}, not true or false`);
};

const TEMPLATE = /\$\{\{(.*?)\}\}/gs;
const WHOLE_TEMPLATE = /^\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*$/s;

/** The expression inside a text that is exactly one `${{ … }}`, else the text itself. */
export const unwrapTemplate = (source: string): string => (WHOLE_TEMPLATE.exec(source)?.[1] ?? source).trim();

/** The expressions inside the `${{ … }}` of a text. */
export const templatesIn = (text: string): readonly string[] => [...text.matchAll(TEMPLATE)].map((match) => (match[1] ?? "").trim());

/** Replaces every `${{ … }}` in a JSON value. A string that is exactly one template takes the value's own type. */
export const renderTemplates = (value: Json, scope: Scope): Json => {
  if (typeof value === "string") {
    if (!value.includes("${{")) return value;
    const whole = WHOLE_TEMPLATE.exec(value)?.[1];
    if (whole !== undefined) return evaluateExpression(whole.trim(), scope);
    return value.replaceAll(TEMPLATE, (_match, source: string) => {
      const part = evaluateExpression(source.trim(), scope);
      return typeof part === "string" ? part : JSON.stringify(part);
    });
  }
  if (Array.isArray(value)) return value.map((entry: Json) => renderTemplates(entry, scope));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, renderTemplates(entry as Json, scope)]));
};
