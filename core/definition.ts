// The pipeline definition: its schema, and text → definition with every fault at once and its place in the text.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from "yaml";
import { z } from "zod";
import { ERRORS } from "./errors.ts";
import { didYouMean, formatPath, type Issue, type IssueCode, type PathPart } from "./issues.ts";
import { LIMITS } from "./limits.ts";
import { LATER_OPERATORS, OPERATOR_SCHEMAS, durationSchema } from "./operators.ts";

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
const nameSchema = z.string().regex(NAME, "must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter");

const triggerRule = z.enum([
  "all_success",
  "all_done",
  "one_success",
  "one_failed",
  "none_failed",
  "none_failed_min_one_success",
  "all_failed",
  "always",
]);

const retrySchema = z
  .strictObject({
    attempts: z.int().min(1).max(100).optional().describe("Tries in all, the first included; default 3"),
    backoff: durationSchema.optional().describe("Pause before the second try, doubled each time; default 2s"),
    max_backoff: durationSchema.optional().describe("Default 5m"),
    never_on: z
      .array(z.enum(Object.keys(ERRORS) as [string, ...string[]]))
      .optional()
      .describe("Error codes that end the task at once"),
  })
  .describe("When an attempt fails");

const timeoutSchema = z
  .strictObject({
    attempt: durationSchema.optional().describe("One attempt; default 30m"),
    total: durationSchema.optional().describe("All attempts and pauses; default 4h"),
    heartbeat: durationSchema.optional().describe("A worker silent for longer is given up; default 10s"),
  })
  .describe("Every wait is bounded");

const taskShape = {
  id: nameSchema,
  description: z.string().optional(),
  needs: z.array(z.string()).default([]).describe("Tasks that must have ended before this one"),
  when: z.string().min(1).optional().describe("CEL condition; false skips the task"),
  trigger_rule: triggerRule.optional().describe("How the tasks in `needs` must have ended; default all_success"),
  retry: retrySchema.optional(),
  timeout: timeoutSchema.optional(),
  queue: z.string().min(1).max(200).optional().describe("Task queue of the workers that run it"),
};

const taskSchema = z.strictObject({
  ...taskShape,
  transfer: OPERATOR_SCHEMAS.transfer.optional(),
  sql: OPERATOR_SCHEMAS.sql.optional(),
  http: OPERATOR_SCHEMAS.http.optional(),
  check: OPERATOR_SCHEMAS.check.optional(),
  publish: OPERATOR_SCHEMAS.publish.optional(),
  activity: OPERATOR_SCHEMAS.activity.optional(),
});

export const definitionSchema = z.strictObject({
  apiVersion: z.literal("downbeat/v1"),
  name: nameSchema,
  description: z.string().optional(),
  owner: z.string().optional(),
  tags: z.array(z.string()).optional(),
  params: z.record(z.string(), z.json()).optional().describe("JSON Schema of the run's params"),
  defaults: z
    .strictObject({ retry: retrySchema.optional(), timeout: timeoutSchema.optional(), trigger_rule: triggerRule.optional() })
    .optional()
    .describe("For tasks that say nothing else"),
  failure_policy: z
    .enum(["fail-fast", "continue"])
    .default("fail-fast")
    .describe("continue: independent branches go on; the run still fails"),
  tasks: z.array(taskSchema).min(1),
});

export type Definition = z.output<typeof definitionSchema>;
export type TaskDefinition = Definition["tasks"][number];

/** Finds line and column of a path in the text it was parsed from. */
export type Locate = (path: readonly PathPart[]) => { readonly line: number; readonly column: number } | undefined;

export type ParsedDefinition =
  | { readonly ok: true; readonly definition: Definition; readonly locate: Locate }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Keys of later versions, so that their refusal says so. */
const LATER_KEYS: readonly string[] = [
  "for_each",
  "schedules",
  "concurrency",
  "triggers",
  "pool",
  "priority",
  "deadline",
  "on_exhausted",
  "finally",
];

/** YAML contains JSON, so that one parser finds places in both. */
export const parseDefinition = (text: string): ParsedDefinition => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    const issues = document.errors.map((error) => ({
      code: "DEFINITION_MALFORMED" as const,
      path: "",
      message: error.message,
      ...at(error.pos[0]),
    }));
    return { ok: false, issues };
  }
  const locate: Locate = (path) => {
    const offset = offsetOf(document, path);
    return offset === undefined ? undefined : at(offset);
  };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return {
      ok: false,
      issues: [
        { code: "DEFINITION_MALFORMED", path: "", message: error instanceof Error ? error.message : String(error), line: 1, column: 1 },
      ],
    };
  }
  return checkDefinition(value, locate);
};

/** A definition that is a value already, as a JSON request brings it. */
export const checkDefinition = (value: unknown, locate: Locate = () => undefined): ParsedDefinition => {
  const tasks = (value as { readonly tasks?: unknown } | null)?.tasks;
  if (Array.isArray(tasks) && tasks.length > LIMITS.tasks) {
    const message = `${tasks.length} tasks are written in one definition; the limit is ${LIMITS.tasks}`;
    return { ok: false, issues: [{ code: "TOO_MANY_TASKS", path: "tasks", message, ...locate(["tasks"]) }] };
  }
  const parsed = definitionSchema.safeParse(value);
  if (parsed.success) return { ok: true, definition: parsed.data, locate };
  return { ok: false, issues: parsed.error.issues.flatMap((issue) => readIssue(issue, value, locate)) };
};

type ZodIssue = z.core.$ZodIssue;

const readIssue = (issue: ZodIssue, root: unknown, locate: Locate): readonly Issue[] => {
  const path = issue.path.filter((part): part is PathPart => typeof part !== "symbol");
  const make = (code: IssueCode, parts: readonly PathPart[], message: string, known?: readonly string[]): Issue => ({
    code,
    path: formatPath(parts),
    message,
    ...(known === undefined ? {} : { known }),
    ...locate(parts),
  });
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = knownKeysAt(path);
      return issue.keys.map((key) => {
        const isTask = path.length === 2 && path[0] === "tasks";
        const later = (LATER_KEYS.includes(key) && path.length <= 2) || (isTask && (LATER_OPERATORS as readonly string[]).includes(key));
        const reason = later ? "is not in this version yet; remove it" : `is not a key here${didYouMean(key, known)}`;
        const looksLikeOperator = isTask && isPlainObject(valueAt(root, [...path, key])) && !hasOperator(valueAt(root, path));
        return make(
          looksLikeOperator || (isTask && later && !LATER_KEYS.includes(key)) ? "UNKNOWN_OPERATOR" : "UNKNOWN_KEY",
          [...path, key],
          `"${key}" ${reason}`,
          known,
        );
      });
    }
    case "invalid_union": {
      const message = "is none of the allowed forms";
      return [make("INVALID_VALUE", path, issue.errors.length > 0 ? `${message}: ${describeUnion(issue.errors)}` : message)];
    }
    case "custom": {
      const code = (issue.params as { readonly code?: IssueCode } | undefined)?.code ?? "INVALID_VALUE";
      return [make(code, path, `"${String(valueAt(root, path))}" ${issue.message}`)];
    }
    default: {
      if (valueAt(root, path) === undefined) return [make("MISSING_KEY", path, `"${formatPath(path.slice(-1))}" is missing`)];
      const known = issue.code === "invalid_value" ? issue.values.map(String) : undefined;
      const given = known === undefined ? "" : didYouMean(String(valueAt(root, path)), known);
      return [make("INVALID_VALUE", path, `${issue.message}${given}`, known)];
    }
  }
};

const describeUnion = (alternatives: readonly (readonly ZodIssue[])[]): string =>
  [
    ...new Set(
      alternatives.map((issues) => issues.map((issue) => `${formatPath(issue.path as PathPart[])} ${issue.message}`.trim()).join(" and ")),
    ),
  ]
    .slice(0, 4)
    .join("; or ");

const isPlainObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

const hasOperator = (task: unknown): boolean =>
  isPlainObject(task) && Object.keys(OPERATOR_SCHEMAS).some((operator) => operator in (task as object));

const valueAt = (root: unknown, path: readonly PathPart[]): unknown =>
  path.reduce<unknown>(
    (value, part) => (typeof value === "object" && value !== null ? (value as Record<PathPart, unknown>)[part] : undefined),
    root,
  );

/** The keys that the schema has at a path, for hints. */
const knownKeysAt = (path: readonly PathPart[]): readonly string[] => {
  let schema: unknown = definitionSchema;
  for (const part of path) schema = typeof part === "number" ? unwrap(schema)?.["element"] : unwrap(schema)?.shape?.[part];
  return Object.keys(unwrap(schema)?.shape ?? {});
};

interface SchemaView {
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly element?: unknown;
}

const unwrap = (schema: unknown): SchemaView | undefined => {
  let current = schema;
  while (current instanceof z.ZodOptional || current instanceof z.ZodDefault) current = current.unwrap();
  return current as SchemaView | undefined;
};

/** Offset of the key (or item) that a path names; of its nearest ancestor where the key is missing. */
const offsetOf = (document: Document, path: readonly PathPart[]): number | undefined => {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0];
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => (isScalar(item.key) ? item.key.value : item.key) === part);
      if (pair === undefined) break;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | null)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
};

/** The JSON Schema that editors use for completion. */
export const definitionJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(definitionSchema, { io: "input", target: "draft-7", unrepresentable: "any" }),
  $id: "https://downbeat.dev/schemas/v1/pipeline.json",
  title: "Downbeat pipeline",
});
