// The generated reference pages: each is a function of the tables and schemas that the code runs by.

import { z } from "zod";
import { openApiDocument } from "../../api/openapi.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import { definitionJsonSchema, definitionSchema, triggerRule } from "../../core/definition.ts";
import { ERRORS } from "../../core/errors.ts";
import { DURATION_BOUNDS, OPERATOR_SCHEMAS } from "../../core/operators.ts";
import { LIMITS } from "../../core/limits.ts";
import { verdict } from "../../core/trigger-rules.ts";
import { VARIABLES } from "../config.ts";
import { ERROR_ADVICE } from "./error-advice.ts";
import { expressionsPage } from "./expressions.ts";
import { innerTables, type JsonSchema, KEY_HEADER, keyRows, keyTable } from "./keys.ts";
import { GENERATED, grouped, sizeText, table } from "./markdown.ts";

export interface Page {
  /** Under docs/reference. */
  readonly file: string;
  readonly text: string;
}

const errorsPage = (): string => {
  const codes = Object.entries(ERRORS);
  const faults = {
    user: "whoever wrote the definition, request or configuration",
    system: "another system",
    data: "the data",
    internal: "Downbeat",
  } as const;
  const sections = codes.map(([code, rule]) => {
    const advice = ERROR_ADVICE[code as keyof typeof ERRORS];
    return `## ${code.toLowerCase()}\n\n**\`${code}\`** · ${rule.title}.\n\n${advice}\n\nRetried by the task: ${rule.retry ? "yes" : "no"} · HTTP status: ${rule.http} · to act: ${faults[rule.fault]}`;
  });
  return [
    "# Errors",
    GENERATED,
    "Every error of Downbeat has one of these codes: in problem answers of the API, in runs, tasks and attempts. The message says what failed, on what, and what to check.",
    ...sections,
  ].join("\n\n");
};

const configurationPage = (): string =>
  [
    "# Configuration",
    GENERATED,
    "Processes read the environment once, at their start, and name every fault at once. `--help` on each process prints this table.",
    table(
      ["variable", "default", "meaning"],
      VARIABLES.map((variable) => [`\`${variable.name}\``, "default" in variable ? `\`${variable.default}\`` : "", variable.description]),
    ),
    "## Memory of a worker",
    "Beside what it starts with, a worker's memory grows with the workflows that it keeps, and with what its tasks have in hand.",
    [
      "- `DOWNBEAT_MAX_WORKFLOWS` caps the first. It is no limit of open runs: Temporal has those, and any number may be open. A workflow that was decided lately is kept, so that its next step needs only what is new; where there are more than may be kept, the one that was longest without a step is put away. Nothing of it is lost and nothing fails: with its next step a worker fetches its history, goes through it again (as a rule at most " +
        `${grouped(LIMITS.historyEvents)} events: beyond that it continues as new) and keeps it anew. That costs CPU and some milliseconds, again and again where more workflows are busy at the same time than are kept.`,
      "- What a kept run takes grows with its tasks. `npm run bench:open-runs` says it for runs of 20 tasks, and that it hardly grows beyond the cap: see [performance](../performance.md). So give a worker room for `DOWNBEAT_MAX_WORKFLOWS` runs of your size, or set it lower where memory is short, higher where thousands of runs are busy at once.",
      "- Each task with `for_each`, each window of a wide run, and each owner of a pool, a trigger or a backfill is a workflow too. Only workers of the queue `downbeat` keep any.",
      "- Tasks: `DOWNBEAT_MAX_ACTIVITIES` caps how many of each queue are at work. A transfer takes the same memory whatever the table's size (`npm run bench:transfer`); DuckDB has its connection's `memory_limit`; programs of `command` have their own.",
    ].join("\n"),
  ].join("\n\n");

const connectorsPage = (): string => {
  const sections = createCatalogue(builtinConnectors)
    .describe()
    .map((connector) => {
      const spec = builtinConnectors.find(({ kind }) => kind === connector.kind);
      const facts = Object.entries(connector.capabilities).map(
        ([name, value]) => `${name}: ${Array.isArray(value) ? value.join(", ") : String(value)}`,
      );
      return [
        `## ${connector.kind}`,
        `${connector.title}: ${connector.description}. Roles: ${connector.roles.join(", ")}. ${facts.join(" · ")}.`,
        ...(spec?.url === undefined ? [] : [`In [one-off copies](../guides/one-off-copies.md): \`${spec.url.example}\``]),
        "### Configuration",
        keyTable(connector.config as JsonSchema),
        ...(connector.source_options === undefined ? [] : ["### Options of `from`", keyTable(connector.source_options as JsonSchema)]),
        ...(connector.target_options === undefined ? [] : ["### Options of `to`", keyTable(connector.target_options as JsonSchema)]),
        ...(connector.publish_options === undefined
          ? []
          : ["### Options of a publish's `to`", keyTable(connector.publish_options as JsonSchema)]),
        ...(connector.event_options === undefined
          ? []
          : ["### Options of a trigger's `stream`", keyTable(connector.event_options as JsonSchema)]),
        ...(spec?.notes === undefined ? [] : ["### Notes", spec.notes]),
      ].join("\n\n");
    });
  return [
    "# Connectors",
    GENERATED,
    'Secrets are given by value (sealed, never shown again) or as `{"env": NAME}` or `{"file": PATH}`, which the worker resolves.',
    ...sections,
  ].join("\n\n");
};

const NEEDS = {
  succeeded: { succeeded: 1 },
  "failed, cancelled": { failed: 1 },
  skipped: { skipped: 1 },
  upstream_failed: { upstreamFailed: 1 },
  "parked, waiting, running": { open: 1 },
} as const;

/** Asks the rules themselves. */
const ruleTable = (): string =>
  table(
    ["rule", ...Object.keys(NEEDS)],
    triggerRule.options.map((rule) => [
      `\`${rule}\``,
      ...Object.values(NEEDS).map((counts) =>
        verdict(rule, { open: 0, succeeded: 0, failed: 0, skipped: 0, upstreamFailed: 0, ...counts }),
      ),
    ]),
  );

/** Of a schema that takes a duration, also where it may be left out. */
const boundsOf = (schema: z.core.$ZodType): ReturnType<typeof DURATION_BOUNDS.get> => {
  const { innerType } = schema._zod.def as { readonly innerType?: z.core.$ZodType };
  return DURATION_BOUNDS.get(schema) ?? (innerType && boundsOf(innerType));
};

const definitionPage = (): string => {
  const schema = z.toJSONSchema(definitionSchema, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
    override: ({ zodSchema, jsonSchema }) => Object.assign(jsonSchema, { duration: boundsOf(zodSchema) }),
  }) as JsonSchema;
  const task = schema.properties?.["tasks"]?.items ?? {};
  const operators = Object.keys(OPERATOR_SCHEMAS);
  const schedule = schema.properties?.["schedules"]?.items ?? {};
  const trigger = schema.properties?.["triggers"]?.items ?? {};
  const sections = operators.flatMap((operator) => {
    const own = task.properties?.[operator] ?? {};
    return [`## ${operator}`, keyTable(own), ...innerTables(own, [operator])];
  });
  return [
    "# Definitions",
    GENERATED,
    "One YAML or JSON document is one pipeline. Unknown keys are refused, with the nearest known one. [pipeline.schema.json](pipeline.schema.json) gives editors completion. Durations are `30s`, `5m`, `2h`, `1d` or ISO 8601. What `${{ … }}` and conditions read and give: [expressions](expressions.md). Codes in `retry`: [errors](errors.md).",
    keyTable(schema),
    "`defaults` holds for what a task does not say itself, key by key; its [`retry`](#retry) and [`timeout`](#timeout) are those of a task.",
    ...innerTables(schema, [], ["tasks", "schedules", "triggers", "defaults"]),
    "## A task",
    "Exactly one operator, and:",
    table(
      KEY_HEADER,
      keyRows(task).filter(([key]) => !operators.some((operator) => key === `\`${operator}\``)),
    ),
    ...innerTables(task, [], operators),
    "### Trigger rules",
    "How the tasks in `needs` must have ended for the task to start; as Airflow defines them.",
    table(
      ["rule", "starts when", "otherwise"],
      [
        ["all_success", "all succeeded", "skipped after a skip, upstream_failed after a failure"],
        ["all_done", "all have ended, however", "–"],
        ["one_success", "the first has succeeded", "upstream_failed or skipped once none can"],
        ["one_failed", "the first has failed", "skipped once none did"],
        ["none_failed", "all have ended and none failed; skips are fine", "upstream_failed"],
        ["none_failed_min_one_success", "as before, and at least one succeeded", "upstream_failed, or skipped when all were"],
        ["all_failed", "all failed", "skipped"],
        ["always", "at once", "–"],
      ],
    ),
    "What becomes of a task with a single need, by how that need ended. Failed and cancelled needs count the same; a parked or waiting one has not ended, and every rule but `always` waits for it:",
    ruleTable(),
    "A task that needs nothing begins at once, whatever its `trigger_rule`. A `finally` task begins when all others have ended, whatever became of them, unless it has a `trigger_rule` of its own (`defaults.trigger_rule` is none) and no `needs`: that rule asks how all others have ended, so `one_failed` has it begin after any failure or cancellation, `all_success` only after success. A run fails if any task failed, unless a task that needs it directly with `one_failed` or `all_failed` succeeded.",
    "## A schedule",
    "Exactly one of `cron`, `every` and `calendar`; see [the guide](../guides/schedules.md).",
    keyTable(schedule),
    ...innerTables(schedule, ["schedule"]),
    "## An event trigger",
    "Exactly one of `webhook`, `stream`, `files`, `pipeline` and `assets`; see [the guide](../guides/event-triggers.md).",
    keyTable(trigger),
    ...innerTables(trigger, ["trigger"]),
    ...sections,
    "## Limits",
    table(
      ["what", "at most"],
      [
        ["a definition, also with its aliases written out", sizeText(LIMITS.bodyBytes)],
        ["levels of lists and maps in it", grouped(LIMITS.nesting)],
        ["tasks", grouped(LIMITS.tasks)],
        ["schedules; triggers", `${LIMITS.schedules}; ${LIMITS.triggers}`],
        ["what a run carries of it: ids, needs, conditions, policies, inputs of activities, outputs", sizeText(LIMITS.planBytes)],
        ["items of one `for_each`", grouped(LIMITS.items)],
        ["runs inside one another (`pipeline`)", grouped(LIMITS.runDepth)],
        ["partitions of one backfill; its runs at the same time", `${grouped(LIMITS.backfillPartitions)}; ${LIMITS.backfillRuns}`],
        ["events that one run is started for", grouped(LIMITS.eventsPerRun)],
      ],
    ),
    "Those of expressions, params and outputs: [expressions](expressions.md#limits).",
  ].join("\n\n");
};

const apiPage = (): string => {
  const rows = Object.entries(openApiDocument().paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [
      `\`${method.toUpperCase()} ${path}\``,
      (operation as { readonly summary?: string }).summary ?? "",
    ]),
  );
  return [
    "# HTTP API",
    GENERATED,
    "A running Downbeat serves this as a page at `/reference`, and as OpenAPI 3.1 at `/openapi.json` ([copy](openapi.json)). Lists are paged: `?limit=` and `?cursor=` (the `next` of the page before). " +
      "Errors are RFC 9457 problems with a `code` of the [error table](errors.md). With `DOWNBEAT_API_KEY` set, every request but the health checks needs `Authorization: Bearer …` or `X-API-Key: …`.",
    table(["request", "does"], rows),
  ].join("\n\n");
};

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

export const pages = (): readonly Page[] => [
  { file: "errors.md", text: `${errorsPage()}\n` },
  { file: "configuration.md", text: `${configurationPage()}\n` },
  { file: "connectors.md", text: `${connectorsPage()}\n` },
  { file: "definition.md", text: `${definitionPage()}\n` },
  { file: "expressions.md", text: `${expressionsPage()}\n` },
  { file: "api.md", text: `${apiPage()}\n` },
  { file: "pipeline.schema.json", text: json(definitionJsonSchema()) },
  { file: "openapi.json", text: json(openApiDocument()) },
];
