// The pipeline definition: its schema, and text → definition with every fault at once and its place in the text.

import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { forEachSchema } from "./definition-for-each.ts";
import { readZodIssues } from "./definition-issues.ts";
import { findDuplicateKey, locateIn } from "./definition-positions.ts";
import { scheduleSchema } from "./definition-schedules.ts";
import { triggerSchema } from "./definition-triggers.ts";
import { ERRORS } from "./errors.ts";
import { readGraph, type GraphTask } from "./graph.ts";
import { collectIssues, type Issue, type Locate } from "./issues.ts";
import { LIMITS } from "./limits.ts";
import { assetName, OPERATOR_SCHEMAS, durationSchema, nameSchema } from "./operators.ts";
import { salvage, type Salvaged, type SchemaFault } from "./salvage-definition.ts";
import { DEFAULT_PRIORITY } from "./slots.ts";

export const triggerRule = z.enum([
  "all_success",
  "all_done",
  "one_success",
  "one_failed",
  "none_failed",
  "none_failed_min_one_success",
  "all_failed",
  "always",
]);

/** What holds where neither a task nor `defaults` says otherwise. */
export const POLICY_DEFAULTS = {
  attempts: 3,
  backoff: "2s",
  maxBackoff: "5m",
  attempt: "30m",
  total: "4h",
  heartbeat: "10s",
  triggerRule: "all_success",
  onExhausted: "fail",
} as const;

const pause = durationSchema("0s", "24d");

const retrySchema = z
  .strictObject({
    attempts: z.int().min(1).max(100).optional().describe("Tries in all, the first included").meta({ default: POLICY_DEFAULTS.attempts }),
    backoff: pause.optional().describe("Pause before the second try, doubled each time").meta({ default: POLICY_DEFAULTS.backoff }),
    max_backoff: pause.optional().describe("The longest pause").meta({ default: POLICY_DEFAULTS.maxBackoff }),
    never_on: z
      .array(z.enum(Object.keys(ERRORS) as [string, ...string[]]))
      .optional()
      .describe("Error codes that end the task at once"),
    on: z
      .partialRecord(
        z.enum(Object.keys(ERRORS) as [string, ...string[]]),
        z.strictObject({
          attempts: z.int().min(1).max(100).optional().describe("Tries in all, whatever the others failed with"),
          backoff: pause.optional().describe("Pause before the second try, doubled each time"),
          max_backoff: pause.optional().describe("The longest pause"),
        }),
      )
      .optional()
      .describe("By error code: what holds instead, where it says something else; a code that is named here is tried again"),
  })
  .describe("When an attempt fails");

const timeoutSchema = z
  .strictObject({
    attempt: durationSchema("100ms", "24d")
      .optional()
      .describe("One attempt. A run of another pipeline is bounded by total alone")
      .meta({ default: POLICY_DEFAULTS.attempt }),
    total: durationSchema("100ms", "365d").optional().describe("All attempts and pauses").meta({ default: POLICY_DEFAULTS.total }),
    heartbeat: durationSchema("100ms", "1h")
      .optional()
      .describe("A worker silent for longer is given up. An activity of your own is held to it only where its task says so itself")
      .meta({ default: POLICY_DEFAULTS.heartbeat }),
  })
  .describe("Every wait is bounded");

const onExhausted = z
  .enum(["fail", "park"])
  .describe("park: a task out of attempts waits until somebody mends it and lets the run go on")
  .meta({ default: POLICY_DEFAULTS.onExhausted });

const ruleSchema = triggerRule.describe("How the tasks in `needs` must have ended").meta({ default: POLICY_DEFAULTS.triggerRule });

const taskShape = {
  id: nameSchema.describe("Unique in the pipeline; written as the pipeline's name"),
  description: z.string().optional().describe("For people"),
  needs: z.array(z.string()).default([]).describe("Tasks that must have ended before this one"),
  when: z.string().min(1).optional().describe("CEL condition; false skips the task"),
  trigger_rule: ruleSchema
    .optional()
    .describe(
      "How the tasks in `needs` must have ended. Of a `finally` task without `needs`: how all others must have ended; where it says nothing: in whatever way",
    ),
  retry: retrySchema.optional(),
  timeout: timeoutSchema.optional(),
  on_exhausted: onExhausted.optional(),
  deadline: durationSchema("1s", "365d")
    .optional()
    .describe(
      "By when after the run's begin it ought to have ended, in whatever way: a miss is recorded and shown, and nothing is stopped",
    ),
  finally: z.literal(true).optional().describe("Runs when all other tasks have ended, also after a failure or a cancellation"),
  for_each: forEachSchema.optional(),
  pool: nameSchema.optional().describe("It runs only while it holds a slot of this pool; of a task with for_each each item does"),
  priority: z
    .int()
    .min(1)
    .max(5)
    .optional()
    .describe(
      "1 goes first when workers are scarce, 5 last. Of a task with pipeline: that of the tasks of its run that have none of their own",
    )
    .meta({ default: DEFAULT_PRIORITY }),
  queue: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("Task queue of the workers that run it; a task with pipeline has none, the tasks of its run may"),
  assets: z
    .array(assetName)
    .max(20)
    .optional()
    .describe("What it makes beside the table that it loads: others can wait for it and start by it"),
};

const taskSchema = z.strictObject({
  ...taskShape,
  transfer: OPERATOR_SCHEMAS.transfer.optional(),
  sql: OPERATOR_SCHEMAS.sql.optional(),
  http: OPERATOR_SCHEMAS.http.optional(),
  check: OPERATOR_SCHEMAS.check.optional(),
  publish: OPERATOR_SCHEMAS.publish.optional(),
  command: OPERATOR_SCHEMAS.command.optional(),
  file: OPERATOR_SCHEMAS.file.optional(),
  activity: OPERATOR_SCHEMAS.activity.optional(),
  wait: OPERATOR_SCHEMAS.wait.optional(),
  approval: OPERATOR_SCHEMAS.approval.optional(),
  pipeline: OPERATOR_SCHEMAS.pipeline.optional(),
});

export const definitionSchema = z.strictObject({
  apiVersion: z.literal("downbeat/v1"),
  name: nameSchema.describe("1 to 63 of a-z, 0-9, _ and -, beginning with a letter"),
  description: z.string().optional().describe("For people"),
  owner: z.string().optional().describe("For people"),
  tags: z.array(z.string()).optional().describe("For people"),
  params: z.record(z.string(), z.json()).optional().describe("JSON Schema of the run's params"),
  defaults: z
    .strictObject({
      retry: retrySchema.optional(),
      timeout: timeoutSchema.optional(),
      trigger_rule: ruleSchema.optional(),
      on_exhausted: onExhausted.optional(),
    })
    .optional()
    .describe("For tasks that say nothing else"),
  concurrency: z
    .strictObject({
      max_runs: z.int().min(1).max(1_000).describe("Runs of this pipeline that go on at the same time, however they were started"),
      strategy: z
        .enum(["queue", "skip", "cancel_new", "cancel_running"])
        .default("queue")
        .describe("One more waits; is refused with 409; is recorded and ends at once as cancelled; or the oldest is cancelled for it"),
    })
    .optional()
    .describe("How many runs of it may go on at the same time; absent: any number"),
  failure_policy: z
    .enum(["fail-fast", "continue"])
    .default("fail-fast")
    .describe("continue: independent branches go on; the run still fails"),
  schedules: z.array(scheduleSchema).max(LIMITS.schedules).optional().describe("When runs start by themselves"),
  triggers: z.array(triggerSchema).max(LIMITS.triggers).optional().describe("Which events start runs"),
  outputs: z
    .record(z.string(), z.json())
    .optional()
    .describe("What a run that succeeded gives, to people and to pipelines that run this one; at most 4 KB"),
  tasks: z.array(taskSchema).min(1).describe("In any order: `needs` says what comes first"),
});

/** As people write it: what has a default can be left out. */
export type DefinitionInput = z.input<typeof definitionSchema>;
export type Definition = z.output<typeof definitionSchema>;
export type TaskDefinition = Definition["tasks"][number];

export type ParsedDefinition =
  | { readonly ok: true; readonly definition: Definition; readonly locate: Locate }
  | { readonly ok: false; readonly issues: readonly Issue[]; readonly rest?: DefinitionRest };

/** What else can be checked: the definition without what does not fit the schema. */
export interface DefinitionRest {
  readonly definition: Definition;
  readonly locate: Locate;
  /** Whether what is found in it is true of what was written, too. */
  readonly isTrue: Salvaged["isTrue"];
}

/** YAML contains JSON, so that one parser finds places in both. */
export const parseDefinition = (text: string): ParsedDefinition => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const malformed = (message: string, offset: number): ParsedDefinition => {
    const { line, col: column } = lines.linePos(offset);
    return { ok: false, issues: [{ code: "DEFINITION_MALFORMED", path: "", message: readable(message), line, column }] };
  };
  // What a parser says after its first error is mostly about that one.
  const [error] = document.errors;
  if (error !== undefined) return malformed(error.message, error.pos[0]);
  let value: unknown;
  try {
    const duplicate = findDuplicateKey(document);
    if (duplicate !== undefined) return malformed(`key "${duplicate.key}" stands twice in one map`, duplicate.offset);
    value = document.toJS({ maxAliasCount: 100 });
  } catch (fault) {
    return malformed(fault instanceof Error ? fault.message : String(fault), 0);
  }
  return checkDefinition(value, locateIn(document, lines));
};

const readable = (message: string): string => {
  if (message.includes("call stack")) return "it is nested too deeply";
  if (message.includes("multiple documents")) return 'there is more than one document; remove the "---" in between';
  if (message.includes("alias count")) return "its aliases (*name) multiply to far too much";
  return message;
};

/** A definition that is a value already, as a JSON request brings it. */
export const checkDefinition = (value: unknown, locate: Locate = () => undefined): ParsedDefinition => {
  const { issues, fault } = collectIssues(locate);
  const excess = excessOf(value);
  if (excess !== undefined) {
    fault("TOO_LARGE", [], excess);
    return { ok: false, issues };
  }
  const { tasks } = (value ?? {}) as { readonly tasks?: unknown };
  if (Array.isArray(tasks) && tasks.length > LIMITS.tasks) {
    fault("TOO_MANY_TASKS", ["tasks"], `${tasks.length} tasks are written in one definition; the limit is ${LIMITS.tasks}`);
    return { ok: false, issues };
  }
  const parsed = definitionSchema.safeParse(value);
  if (parsed.success) return { ok: true, definition: parsed.data, locate };
  readZodIssues(parsed.error.issues, value, definitionSchema, fault);
  // The graph is checked beside, so that one answer has all that is wrong.
  if (Array.isArray(tasks)) readGraph(tasks.map(asGraphTask), fault);
  const rest = restOf(value, parsed.error.issues);
  return { ok: false, issues, ...(rest === undefined ? {} : { rest: { ...rest, locate } }) };
};

/** What is sound of a definition that is not; of tasks without what is wrong with them, where they are tasks still. */
const restOf = (
  value: unknown,
  faults: readonly SchemaFault[],
  lost: ReadonlySet<number> = new Set(),
): Omit<DefinitionRest, "locate"> | undefined => {
  const salvaged = salvage(value, faults, lost);
  if (salvaged === undefined) return undefined;
  const parsed = definitionSchema.safeParse(salvaged.value);
  if (parsed.success) return { definition: parsed.data, isTrue: salvaged.isTrue };
  const places = parsed.error.issues.flatMap(({ path: [first, place] }) => (first === "tasks" && typeof place === "number" ? [place] : []));
  return lost.size > 0 || places.length === 0 ? undefined : restOf(value, faults, new Set(places));
};

/** What can be told of a task's place in the graph, although other things are wrong with it. */
const asGraphTask = (task: unknown): GraphTask => {
  const { id, needs } = (task ?? {}) as { readonly id?: unknown; readonly needs?: unknown };
  return {
    id: typeof id === "string" ? id : undefined,
    needs: Array.isArray(needs) ? needs.filter((need) => typeof need === "string") : [],
  };
};

/** Refuses, without recursion, what would overwhelm the checks that follow: aliases make much of little text. */
const excessOf = (value: unknown): string | undefined => {
  const open: (readonly [unknown, number])[] = [[value, 0]];
  let size = 0;
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const [current, depth] = entry;
    size += typeof current === "string" ? current.length : 1;
    if (size > LIMITS.bodyBytes) return `with its aliases written out it is over ${LIMITS.bodyBytes} characters`;
    if (typeof current !== "object" || current === null) continue;
    if (depth >= LIMITS.nesting) return `it is nested more than ${LIMITS.nesting} levels deep`;
    for (const [key, inner] of Object.entries(current)) {
      size += Array.isArray(current) ? 0 : key.length;
      open.push([inner, depth + 1]);
    }
  }
  return undefined;
};

/** The JSON Schema that editors use for completion. It has no references, so that it can stand inside other documents. */
export const definitionJsonSchema = (): Record<string, unknown> => {
  const { definitions: _, ...schema } = z.toJSONSchema(definitionSchema, { io: "input", target: "draft-7" });
  return { ...(withoutReferences(schema) as Record<string, unknown>), title: "Downbeat pipeline" };
};

/** Only "any JSON value" is defined apart, and to editors that is the same as anything. */
const withoutReferences = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(withoutReferences);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).filter(([key, value]) => key !== "$ref" || typeof value !== "string");
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutReferences(value)]));
};
