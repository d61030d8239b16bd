// The page on expressions: what they read, call and give, and their limits. Facts, calls and limits come from the code, examples are evaluated as the page is made.

import { ATTEMPT_FACTS, RUN_FACTS } from "../../core/compile-references.ts";
import { DownbeatError } from "../../core/errors.ts";
import {
  CEL_LIMITS,
  checkExpression,
  type DeclaredCall,
  declaredCalls,
  evaluateExpression,
  NESTED_LIST_LENGTH,
  renderTemplates,
  type Scope,
} from "../../core/expression.ts";
import { REFUSED_CALLS } from "../../core/expression-references.ts";
import type { Json } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import type { OPERATOR_SCHEMAS } from "../../core/operators.ts";
import type { TaskStatus } from "../../core/run-changes.ts";
import { GENERATED, grouped, sizeText, table } from "./markdown.ts";

const code = (text: string): string => `\`${text}\``;

const FACTS: Readonly<Record<(typeof ATTEMPT_FACTS)[number], string>> = {
  id: "The run's id",
  origin: "The id of the first run of a chain of reruns, its own otherwise: make keys of it that are to be the same when work is repeated",
  pipeline: "The pipeline's name",
  version: "The version that the run has, a whole number",
  trigger: "What started it: http, schedule, event, backfill, pipeline (another run's task) or rerun",
  triggeredAt: "When it was triggered, ISO 8601 in UTC",
  interval:
    "`run.interval.start` and `run.interval.end`: its [data interval](../guides/schedules.md#data-intervals), ISO 8601 with an offset; both null where it has none",
  attempt: "Which attempt of the task it is, from 1; not everywhere, see [where what may be read](#where-what-may-be-read)",
};

const STATUSES: Readonly<Record<TaskStatus, string>> = {
  succeeded: "",
  failed: "",
  skipped: "",
  upstream_failed: "",
  cancelled: "",
  pending: "has not begun",
  running: "",
  waiting: "for its next attempt, a moment, a condition, a decision or a slot",
  parked: "is out of attempts and waits to be mended",
};

const ROOTS: readonly (readonly [string, string])[] = [
  [
    "`params`",
    "The run's params, the defaults of their schema filled in. One that the pipeline's `params` does not declare is refused when the pipeline is saved, unless that schema has no `properties`",
  ],
  ["`run`", "[Facts of the run](#facts-of-a-run)"],
  [
    '`tasks.ID`, `tasks["a-b"]`',
    "Another task's `status` and `output`; `output` is null until it has succeeded. An id with `-` is written in brackets. Only one by one: `tasks` by itself is refused",
  ],
  ["`each.NAME`", "Of a task with `for_each`: the item's value, by the `as` of its loop"],
  [
    "`response`",
    "In `until` of a wait for `http` alone: `status`, `headers` (names in lower case) and `body` of the answer, JSON where it is that, else the text",
  ],
  [
    "`event`, `events`",
    "Of a trigger alone: the newest event of the run that is to start, and all of them, the oldest first; each with `id`, `at` (when it came), `data` and, of an asset, `subject`",
  ],
];

const MOST_FACTS = `all but ${ATTEMPT_FACTS.filter((fact) => !RUN_FACTS.some((other) => other === fact))
  .map(code)
  .join(", ")}`;

const PLACES: readonly (readonly string[])[] = [
  [
    "a task's `when`",
    "yes",
    MOST_FACTS,
    "tasks that it needs, directly or through others; a `finally` task all that are not `finally`, too",
    "–",
  ],
  ["`in` of `for_each`", "yes", MOST_FACTS, "the same", "of the loops around it"],
  ["an operator's block", "yes", "all", "the same", "yes"],
  ["`until` of a wait for `http`", "yes", "all", "the same", "yes (and `response.status`, `.headers`, `.body`)"],
  ["the pipeline's `outputs`", "yes", MOST_FACTS, "every task", "–"],
  ["`when` and `params` of a trigger", "–", "–", "–", "– (`event` and `events` instead)"],
];

const SCOPE: Scope = {
  params: { n: 7, ratio: 2.5, name: "tea", list: [1, 2, 3], nothing: null },
  run: { id: "run_1", triggeredAt: "2026-11-23T10:00:00.000Z", interval: { start: null, end: null } },
  tasks: { total: { status: "succeeded", output: [{ items: 2, worth: "7.70" }] } },
};

const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof DownbeatError) return error.message;
    throw error;
  }
  throw new Error("it does not fail");
};

const given = (value: Json): string => code(JSON.stringify(value));

const evaluated = (sources: readonly (readonly [source: string, meaning: string])[]): string =>
  table(
    ["expression", "gives", ""],
    sources.map(([source, meaning]) => [code(source), given(evaluateExpression(source, SCOPE)), meaning]),
  );

const rendered = (texts: readonly string[]): string =>
  table(
    ["text", "becomes"],
    texts.map((text) => [code(text), given(renderTemplates(text, SCOPE))]),
  );

const refusals = (sources: readonly string[]): string =>
  table(
    ["expression", "what is said of it"],
    sources.map((source) => {
      const checked = checkExpression(source);
      if (checked.ok) throw new Error(`"${source}" is not refused`);
      return [code(source), checked.message];
    }),
  );

const failures = (sources: readonly string[]): string =>
  table(
    ["expression", "fails with"],
    sources.map((source) => [code(source), messageOf(() => evaluateExpression(source, SCOPE)).replace(`expression "${source}" `, "… ")]),
  );

/** Kinds of values that no expression comes to have. */
const OUT_OF_REACH = /^(optional|OptionalNamespace|CelNamespace)/;

const MEANINGS: Readonly<Record<string, string>> = {
  has: "Whether a key is there, of names with dots alone: `has(params.day)`. All before the last must be there. Elsewhere ask `'x' in tasks[\"a-b\"].output`",
  all: "Whether it holds for each: `list.all(x, x > 0)`. Of a map these five go over its keys",
  exists: "Whether it holds for any",
  exists_one: "Whether it holds for exactly one",
  map: "A list of what each becomes; with three arguments of those alone for which the second holds",
  filter: "Those for which it holds",
  size: "Characters, entries or bytes",
  startsWith: "",
  endsWith: "",
  contains: "",
  indexOf: "From 0; -1: it is not in it. The second argument: from where to look",
  lastIndexOf: "The same from the end",
  substring: "From a place, and up to (not with) another",
  lowerAscii: "In small letters",
  upperAscii: "In capitals",
  trim: "Without white space around it",
  split: "At each separator; the second argument: into at most so many",
  join: "One text of a list of texts, with the separator between them",
  string: "A text of a bool, a number or bytes",
  int: "A whole number of a text, or of a fraction, which is cut off",
  uint: "Has no use here: JSON has no such numbers",
  double: "A fraction of a text or of a whole number",
  bool: "Of true, t, 1, false, f, 0 as text",
  bytes: "Of a text",
  dyn: "The same value, its type not looked at when the pipeline is saved",
  type: "The type, to be compared: `type(params.n) == int`",
  timestamp: "A moment of ISO 8601 with a zone (`2026-11-23T10:00:00Z`; a date alone will not do) or of seconds since 1970",
  duration: "Of a text such as `90m`, `1h30m`, `45s` (no days)",
  getFullYear: "The argument of these is a time zone, such as Europe/Berlin; without it UTC",
  getMonth: "From 0: January",
  getDate: "Day of the month, from 1",
  getDayOfMonth: "Day of the month, from 0",
  getDayOfWeek: "From 0: Sunday",
  getDayOfYear: "From 0",
  getHours: "Of a duration: all of it in hours",
  getMinutes: "Of a duration: all of it in minutes",
  getSeconds: "Of a duration: all of it in seconds",
  getMilliseconds: "Of a duration: all of it in milliseconds",
  json: "A map of JSON",
  hex: "",
  base64: "",
  at: "One byte",
};

const typeText = (type: string): string =>
  type
    .replace("google.protobuf.", "")
    .toLowerCase()
    .replace("list<string>", "list of strings")
    .replace(/<dyn(, dyn)?>/, "")
    .replace("dyn", "any")
    .replace("ast", "…");

const callText = ({ name, receiver, arguments: taken }: DeclaredCall): string =>
  `${receiver === undefined ? "" : `${typeText(receiver)}.`}${name}(${taken.map(typeText).join(", ")})`;

/** One row for each name, the forms that it has in the order of the library. */
const callTable = (): string => {
  const calls = declaredCalls().filter(
    ({ name, receiver = "", arguments: taken }) =>
      !Object.hasOwn(REFUSED_CALLS, name) && ![receiver, ...taken].some((type) => OUT_OF_REACH.test(type)),
  );
  const names = [...new Set(calls.map(({ name }) => name))];
  const unknown = names.filter((name) => MEANINGS[name] === undefined);
  const gone = Object.keys(MEANINGS).filter((name) => !names.includes(name));
  if (unknown.length + gone.length > 0)
    throw new Error(`calls without a meaning: ${unknown.join()}; meanings without a call: ${gone.join()}`);
  return table(
    ["call", "gives", "meaning"],
    Object.entries(MEANINGS).map(([name, meaning]) => {
      const forms = calls.filter((call) => call.name === name);
      const written = name === "type" ? ["type(any)"] : [...new Set(forms.map(callText))];
      return [written.map(code).join(", "), [...new Set(forms.map(({ gives }) => typeText(gives)))].join(", "), meaning];
    }),
  );
};

/** What a task hands on, by its operator. */
const OUTPUTS: Readonly<Record<keyof typeof OPERATOR_SCHEMAS, readonly [shape: string, meaning: string]>> = {
  transfer: [
    "`{stream, table, mode, rows, bytes, dead_letters}`",
    "Of the whole load, all attempts together; `stream` is `query` where a query is read. A [replay](../guides/bad-rows.md#replay) gives `untried` too, and `dead_letters` are those that stay",
  ],
  sql: [
    "a list of rows, or null",
    "The rows of the query in `output`, each a map by column; null without it. Decimals and whole numbers beyond 2^53 are texts: `double(row.worth)`. Dates, times and moments are texts, binary is base64",
  ],
  http: [
    "`{status, body}`",
    "`body`: JSON where its content type says so, else a text. An answer too large to keep is `{status, body: null, truncated: true}`",
  ],
  check: ["`{passed, results}`", "`results`: a list of `{name, ok, observed, expected}`. A check that does not hold fails the task"],
  publish: [
    "`{rows, bytes, messages}`; to a table or files `{table, rows, bytes}`",
    "The first where the connector has the role `publish` (such as http), the second where it is a `destination`",
  ],
  command: [
    "`{exit_code}`, a text or any JSON",
    "By its `output`: none, text or json; see [running programs](../guides/running-programs.md)",
  ],
  file: [
    "`{files, bytes, skipped}`; of `exists` `{exists, files, bytes, paths}`",
    "Of this attempt. A file that is there already with the same content counts as done; `skipped` are those that `overwrite: skip` left alone",
  ],
  activity: ["any JSON", "What it returns; null where that is nothing"],
  wait: [
    "null, or `{met, value}`",
    "Null after a moment or a duration. `met` is true; `value` is the first column of `sql`, the status of `http`, the number of files of `file`, `{updated_at, run, rows}` of `asset`",
  ],
  approval: [
    "`{approved, by, comment}`",
    "`approved` is true: a rejection fails the task. `by` is null where nobody decided before a deadline with `on_deadline: approve`",
  ],
  pipeline: ["`{run_id, outputs}`", "`outputs`: what its pipeline's `outputs` give, null where it has none"],
};

const CEL_TEXTS: Readonly<Record<keyof typeof CEL_LIMITS, string>> = {
  maxAstNodes: "names, values, calls and operators of an expression, together",
  maxDepth: "how deep they lie in one another, brackets included",
  maxListElements: "entries of a list that is written in it",
  maxMapEntries: "entries of a map that is written in it",
  maxCallArguments: "arguments of a call",
};

export const expressionsPage = (): string =>
  [
    "# Expressions",
    GENERATED,
    "Conditions (`when`) and everything inside `${{ … }}` are [CEL](https://cel.dev), the Common Expression Language: short, without side effects, bounded. They read what a run knows, never the environment, the clock or another system.",
    '```yaml\nwhen: params.full || run.trigger == "schedule"          # a condition: CEL by itself\nsql:\n  connection: warehouse\n  query: call refresh(:day, :countries)\n  params: { day: "${{ params.day }}", countries: "${{ tasks.found.output.map(r, r.country) }}" }\n```',

    "## What they read",
    table(["name", "what it is"], ROOTS),
    `The output of a task that failed or was skipped is null, which has no keys: ask first, as in \`tasks.total.status == "succeeded" && tasks.total.output[0].items > 0\`. A status is one of: ${Object.entries(
      STATUSES,
    )
      .map(([status, meaning]) => (meaning === "" ? code(status) : `${code(status)} (${meaning})`))
      .join(", ")}.`,

    "### Facts of a run",
    table(
      ["fact", "meaning"],
      ATTEMPT_FACTS.map((fact) => [code(`run.${fact}`), FACTS[fact]]),
    ),

    "### Where what may be read",
    table(["where", "`params`", "`run`", "`tasks`", "`each`"], PLACES),
    `What is read in the wrong place is refused when the pipeline is saved, with line and column. Everywhere else a text is a text: in \`id\`, \`needs\`, \`pool\`, \`queue\`, \`assets\`, durations of \`retry\` and \`timeout\`, and \`schedules\` there are no expressions, nor in names of connections and activities, in \`approvers\`, or where a number, true or false, or one of a few words is asked for.`,

    "## Templates",
    "`${{ … }}` stands in texts of an operator's block, of `for_each.in`, of `outputs` and of a trigger's `params`, however deep. A text that is nothing but one `${{ … }}` becomes the value itself, with its type; in a longer text the value is spliced in, texts as they are, all else as JSON. A `when` is a condition already and needs none; one `${{ … }}` around it is allowed. With `params` as in the [examples](#examples):",
    rendered([
      "${{ params.n }}",
      "${{ params.list }}",
      "n=${{ params.n }}, list=${{ params.list }}, name=${{ params.name }}",
      "nothing: ${{ params.nothing }}",
      'literally ${{ "${{" }}',
    ]),
    "Values for SQL belong into the `params` of `sql` (`:name`), which are bound; in the text of a query they would be SQL.",

    "## Examples",
    "Evaluated as this page was made, with",
    `\`\`\`json\n${JSON.stringify(SCOPE, null, 2)}\n\`\`\``,
    evaluated([
      ["params.n > 5 ? 'many' : 'few'", "a choice"],
      ["params.name + ' ' + string(params.n)", "only texts are joined to texts"],
      ["'a' in ['a', 'b']", "of a list an entry, of a map a key"],
      ["has(params.missing) ? params.missing : 'none'", "what may not be there"],
      ["params.list.filter(x, x > 1).map(x, x * 10)", ""],
      ["params.list.map(x, string(x)).join(', ')", ""],
      ["{'n': params.n, 'first': params.list[0]}", "a map"],
      ["tasks.total.status == 'succeeded'", ""],
      ["double(tasks.total.output[0].worth) > 5.0", "decimals of SQL are texts"],
      ["timestamp(run.triggeredAt) - duration('24h')", "a moment becomes ISO 8601 in UTC"],
      ["run.triggeredAt.substring(0, 10)", "its date"],
      ["timestamp(run.triggeredAt).getHours('Europe/Berlin')", ""],
      ["run.interval.start == null", "a run without a data interval"],
    ]),

    "## Numbers",
    "A number of JSON without a fraction is an `int`, also `5.0`; any other is a `double`. The two can be compared, and mixed in `+ - * /`, which CEL itself would refuse.",
    evaluated([
      ["params.n + 0.5", "int and double give a double"],
      ["params.n / 2", "of two ints a whole number, cut off"],
      ["params.n / 2.0", "write one as a double to keep the fraction"],
      ["params.n % 2", "ints alone"],
      ["params.n == 7.0", ""],
      ["params.n == '7'", "a text is no number: convert it with int() or double()"],
      ["9007199254740992 + 1", "beyond 2^53 it becomes a text, as JSON would lose it"],
    ]),
    "An int has 64 bits: more is `integer overflow`. Division by 0 and what has no number in JSON fail.",

    "## Calls",
    "Operators are `+ - * / %`, `== != < <= > >=`, `&& || !`, `in`, `? :`, `.`, `[]`; lists, maps, texts and bytes (`b'…'`) are written as in CEL. `&&` and `||` look at both sides only where the first does not decide, and forgive an error on the side that does not matter.",
    callTable(),
    `Not offered: ${Object.entries(REFUSED_CALLS)
      .map(([call, instead]) => `${code(call)} (${instead})`)
      .join(", ")}; \`optional\` values; \`uint\` together with other numbers.`,
    "What an expression gives must be JSON. Moments become texts; of a duration take `getSeconds()` and the like; types and bytes are refused (`string()` makes a text of bytes).",

    "## Outputs of tasks",
    "`tasks.ID.output`, by the task's operator:",
    table(
      ["operator", "output", ""],
      Object.entries(OUTPUTS).map(([operator, [shape, meaning]]) => [code(operator), shape, meaning]),
    ),
    "With `for_each` it is the list of the items' outputs, in their order, whatever the operator; null in the place of an item that failed, where `max_failures` allows that. A task that was marked as succeeded by hand has the output that was given with it.",
    `An output of up to ${sizeText(LIMITS.outputBytes)} travels with the run. A larger one, up to ${sizeText(LIMITS.largeOutputBytes)}, is kept in the store and goes by reference: configurations, inputs of activities and \`for_each\` read it as any other. What the run evaluates itself cannot, and fails with \`EXPRESSION_FAILED\`: \`when\`, the pipeline's \`outputs\`, \`until\` and \`for\` of a \`wait\`, the \`message\` of an \`approval\`. Let a task before it select what is needed there ([how](../guides/first-pipeline.md#6-what-tasks-hand-on)).`,

    "## Limits",
    table(
      ["what", "at most"],
      [
        ["characters of an expression", grouped(LIMITS.expressionLength)],
        ...Object.entries(CEL_TEXTS).map(([name, text]) => [text, grouped(CEL_LIMITS[name as keyof typeof CEL_LIMITS])]),
        ["lists that are walked (`map`, `filter`, `all`, …) one inside the other", "2"],
        ["entries of the longest list in reach of such a walk inside a walk", grouped(NESTED_LIST_LENGTH)],
        ["a run's params", sizeText(LIMITS.paramsBytes)],
        ["an output that travels", sizeText(LIMITS.outputBytes)],
        ["an output by reference; the gathered ones of a `for_each`", sizeText(LIMITS.largeOutputBytes)],
        [
          "the output of one item, of an activity of your own on a queue with workers of your own, of a pipeline (`outputs`)",
          sizeText(LIMITS.outputBytes),
        ],
        ["all outputs of one run that its expressions read, those by reference not counted", sizeText(LIMITS.outputsBytesPerRun)],
        ["the input of an activity of your own, its expressions evaluated", sizeText(LIMITS.activityInputBytes)],
        ["what one event says", sizeText(LIMITS.eventBytes)],
      ],
    ),
    "An output over its limit fails the task, or the run whose `outputs` it is, with `OUTPUT_TOO_LARGE`.",

    "## Errors",
    "Names, places and, as far as they can be told, types are checked when the pipeline is saved (`POST /v1/pipelines/validate` asks without saving): `INVALID_EXPRESSION` and `UNKNOWN_REFERENCE`, all at once, each with its path, line and column.",
    refusals([
      "params.n +",
      "today()",
      "'a' + 1",
      "params.name.matches('^t')",
      "tasks.total.rows",
      "tasks.load-orders.status",
      "size(tasks)",
      "params.list.map(a, params.list.map(b, params.list.map(c, a + b + c)))",
    ]),
    "What depends on values fails in the run with `EXPRESSION_FAILED`: the attempt fails, and is not tried again unless `retry.on` names that code. A `when` that fails, fails its task; one that gives anything but true or false, too. It is asked once, before the first attempt.",
    failures([
      "params.missing",
      "params.list[3]",
      "params.name + params.n",
      "params.n / 0",
      "params.ratio / 0",
      "timestamp('2026-11-23')",
      "duration('1d')",
    ]),
    "A trigger's `when` or `params` that fail: [event triggers](../guides/event-triggers.md).",
  ].join("\n\n");
