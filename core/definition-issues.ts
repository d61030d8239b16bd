// What the schema finds wrong, said in the words of definitions: our codes, hints, and operators of versions to come.

import { z } from "zod";
import { didYouMean, formatPath, nearest, type Fault, type IssueCode, type PathPart } from "./issues.ts";
import { DURATION_FAULT, LATER_OPERATORS, OPERATOR_SCHEMAS } from "./operators.ts";

type ZodIssue = z.core.$ZodIssue;
type Path = readonly PathPart[];

const OPERATOR_NAMES: readonly string[] = Object.keys(OPERATOR_SCHEMAS);

export const readZodIssues = (issues: readonly ZodIssue[], root: unknown, schema: z.ZodType, fault: Fault): void => {
  const reader = new IssueReader(root, schema, fault);
  for (const issue of issues) reader.read(issue, []);
};

class IssueReader {
  readonly #root: unknown;
  readonly #schema: z.ZodType;
  readonly #fault: Fault;

  constructor(root: unknown, schema: z.ZodType, fault: Fault) {
    this.#root = root;
    this.#schema = schema;
    this.#fault = fault;
  }

  /** `base`: the path of the union whose alternative the issue comes from. */
  read(issue: ZodIssue, base: Path): void {
    const path = [...base, ...issue.path.filter((part): part is PathPart => typeof part !== "symbol")];
    const value = valueAt(this.#root, path);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) this.#unknownKey(key, path);
    } else if (issue.code === "invalid_union") {
      this.#union(issue, path, value);
    } else if (value === undefined) {
      this.#fault("MISSING_KEY", path, `"${formatPath(path.slice(-1))}" is missing`);
    } else if (issue.message === DURATION_FAULT) {
      this.#fault("INVALID_DURATION", path, `"${String(value)}" ${issue.message}`);
    } else if (issue.code === "custom") {
      const code = (issue.params as { readonly code?: IssueCode } | undefined)?.code ?? "INVALID_VALUE";
      this.#fault(code, path, `"${String(value)}" ${issue.message}`);
    } else if (issue.code === "invalid_key") {
      this.#fault("INVALID_VALUE", path, `"${formatPath(path.slice(-1))}" ${issue.issues[0]?.message ?? "is not allowed here"}`);
    } else if (issue.code === "invalid_value") {
      const known = issue.values.map(String);
      const hint = known.length === 1 ? `; it must be "${known[0]}"` : didYouMean(String(value), known);
      this.#fault("INVALID_VALUE", path, `"${String(value)}" is not allowed here${hint}`, known);
    } else {
      this.#fault("INVALID_VALUE", path, issue.message.replace(/^Invalid input: /, ""));
    }
  }

  #unknownKey(key: string, path: Path): void {
    const isTask = path.length === 2 && path[0] === "tasks";
    const at = [...path, key];
    const known = keysOf(schemaAt(this.#schema, path));
    if (isTask && (LATER_OPERATORS as readonly string[]).includes(key)) {
      this.#fault("UNKNOWN_OPERATOR", at, `operator "${key}" is not in this version yet; remove it`, OPERATOR_NAMES);
    } else if (isTask && this.#isMeantAsOperator(key, path)) {
      this.#fault("UNKNOWN_OPERATOR", at, `"${key}" is no operator${didYouMean(key, OPERATOR_NAMES)}`, OPERATOR_NAMES);
    } else {
      this.#fault("UNKNOWN_KEY", at, `"${key}" is not a key here${didYouMean(key, known)}`, known);
    }
  }

  /** A task without an operator, a key with a map under it: what else could it be. */
  #isMeantAsOperator(key: string, path: Path): boolean {
    const task = valueAt(this.#root, path) as Readonly<Record<string, unknown>>;
    if (!isMap(task[key]) || OPERATOR_NAMES.some((operator) => operator in task)) return false;
    const meant = nearest(key, keysOf(schemaAt(this.#schema, path)));
    return meant === undefined || OPERATOR_NAMES.includes(meant);
  }

  /** Of several forms the one is meant whose keys fit. */
  #union(issue: Extract<ZodIssue, { code: "invalid_union" }>, path: Path, value: unknown): void {
    const alternatives = issue.errors.filter((errors) => errors.every((error) => error.path.length > 0));
    const fitting = alternatives.filter((errors) => isMap(value) && errors.every((error) => error.code !== "unrecognized_keys"));
    const [meant] = fitting;
    if (meant !== undefined && fitting.length === 1) {
      for (const error of meant) this.read(error, path);
      return;
    }
    const known = keysOf(schemaAt(this.#schema, path));
    const unknown = isMap(value) ? Object.keys(value).filter((key) => !known.includes(key)) : [];
    for (const key of unknown) this.#unknownKey(key, path);
    if (unknown.length > 0) return;
    const plain = issue.errors.flatMap(([first]) => (first === undefined || isOfMap(first) ? [] : [first.message]));
    const others = plain.join(" or ").replaceAll("Invalid input: ", "");
    const map = `give exactly one of ${known.join(", ")}`;
    const forms = known.length === 0 ? others : isMap(value) || others === "" ? map : `${map}; or ${others}`;
    this.#fault("INVALID_VALUE", path, forms, known);
  }
}

const isOfMap = (issue: ZodIssue): boolean => issue.path.length > 0 || (issue.code === "invalid_type" && issue.expected === "object");

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part) ? (value as Record<PathPart, unknown>)[part] : undefined,
    root,
  );

const unwrap = (schema: unknown): unknown => {
  let current = schema;
  while (current instanceof z.ZodOptional || current instanceof z.ZodDefault) current = current.unwrap();
  return current;
};

/** The keys that a schema's value can have, for hints. */
const keysOf = (schema: unknown): readonly string[] => {
  if (schema instanceof z.ZodObject) return Object.keys(schema.shape);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => keysOf(unwrap(option)));
  if (schema instanceof z.ZodRecord && schema.keyType instanceof z.ZodEnum) return schema.keyType.options.map(String);
  return [];
};

const schemaAt = (root: unknown, path: Path): unknown =>
  unwrap(
    path.reduce<unknown>((schema, part) => {
      const current = unwrap(schema);
      if (current instanceof z.ZodArray) return current.element;
      if (current instanceof z.ZodObject) return current.shape[part];
      if (current instanceof z.ZodUnion) return current.options.find((option) => keysOf(unwrap(option)).includes(String(part)));
      return undefined;
    }, root),
  );
