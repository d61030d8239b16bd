// The OpenAPI document, out of the same schemas that read the requests.

import { z } from "zod";
import { definitionJsonSchema } from "../core/definition.ts";
import { ANSWERS } from "./answers.ts";
import { triggerOperations } from "./openapi-triggers.ts";
import { backfillOperations } from "./openapi-backfills.ts";
import {
  assetListQuery,
  cancelBody,
  connectionBody,
  connectionPatch,
  continueBody,
  decisionBody,
  itemListQuery,
  firingsQuery,
  markBody,
  newConnectionBody,
  pageQuery,
  pauseBody,
  pipelinePauseBody,
  poolBody,
  rerunBody,
  runListQuery,
  schedulePreviewBody,
  triggerBody,
} from "./schemas.ts";
import { BACKFILL_BODIES } from "./schemas-backfills.ts";

type Json = Record<string, unknown>;

/** Words, and the body: by name, or as text of another content type. */
type Answer = readonly [string, keyof typeof ANSWERS | "text/plain"];

export interface Operation {
  readonly summary: string;
  readonly tag: string;
  readonly parameters?: readonly Json[];
  readonly body?: Json;
  /** By status: what it means, and what a success carries. */
  readonly answers: Readonly<Record<number, string | Answer>>;
}

const path = (name: string): Json => ({ name, in: "path", required: true, schema: { type: "string" } });
const header = (name: string, description: string): Json => ({ name, in: "header", description, schema: { type: "string" } });

const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
};

/** References of a schema on its own begin at its root, which is elsewhere once it is part of the document. */
const movedTo = (root: string, value: unknown): unknown => {
  if (Array.isArray(value)) return value.map((entry) => movedTo(root, entry));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      key === "$ref" && typeof entry === "string" && entry.startsWith("#") ? `${root}${entry.slice(1)}` : movedTo(root, entry),
    ]),
  );
};

const component = (name: string): string => `#/components/schemas/${name}`;

const BODIES = {
  NewConnection: newConnectionBody,
  Connection: connectionBody,
  ConnectionChanges: connectionPatch,
  Trigger: triggerBody,
  Cancellation: cancelBody,
  Pause: pauseBody,
  PipelinePause: pipelinePauseBody,
  Continuation: continueBody,
  Mark: markBody,
  Decision: decisionBody,
  Rerun: rerunBody,
  Pool: poolBody,
  SchedulePreview: schedulePreviewBody,
  ...BACKFILL_BODIES,
} as const;

const queryOf = (schema: z.ZodObject): readonly Json[] => {
  const { properties = {} } = schemaOf(schema) as { readonly properties?: Readonly<Record<string, Json>> };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({ name, in: "query", description, schema: rest }));
};

const PAGE = queryOf(pageQuery);
const WAIT: Json = {
  name: "wait",
  in: "query",
  description: 'How long to wait for the end of the run, such as "60s"; at most 10m',
  schema: { type: "string" },
};

const ACTION_KEY = header("idempotency-key", "The same key acts once");

const body = (name: keyof typeof BODIES, required = true): Json => ({
  required,
  content: { "application/json": { schema: { $ref: component(name) } } },
});
const DEFINITION: Json = {
  required: true,
  content: {
    "application/yaml": { schema: { type: "string" } },
    "application/json": { schema: { $ref: component("Definition") } },
  },
};

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /health/live": { tag: "system", summary: "Whether the process answers", answers: { 200: ["It does", "Alive"] } },
  "GET /health/ready": {
    tag: "system",
    summary: "Whether store, Temporal and workers are there",
    answers: { 200: ["Ready", "Readiness"], 503: ["What is missing", "Readiness"] },
  },
  "GET /metrics": { tag: "system", summary: "Prometheus metrics", answers: { 200: ["Text format", "text/plain"] } },
  "GET /v1/connectors": {
    tag: "connectors",
    summary: "Every connector with its capabilities and configuration schema",
    answers: { 200: ["The catalogue", "Connectors"] },
  },
  "GET /v1/connections": {
    tag: "connections",
    summary: "List connections",
    parameters: PAGE,
    answers: { 200: ["A page; secrets are not shown", "Connections"] },
  },
  "POST /v1/connections": {
    tag: "connections",
    summary: "Create a connection",
    body: body("NewConnection"),
    answers: { 201: ["Created", "ConnectionView"], 409: "The name is taken", 422: "Every fault" },
  },
  "GET /v1/connections/{name}": {
    tag: "connections",
    summary: "Show a connection, who holds its slots, and its circuit breaker",
    parameters: [path("name")],
    answers: { 200: ["The connection", "ConnectionState"], 404: "None" },
  },
  "PUT /v1/connections/{name}": {
    tag: "connections",
    summary: "Create or replace a connection",
    parameters: [path("name")],
    body: body("Connection"),
    answers: { 200: ["Replaced", "ConnectionView"], 201: ["Created", "ConnectionView"], 422: "Every fault" },
  },
  "PATCH /v1/connections/{name}": {
    tag: "connections",
    summary: "Change some keys of a connection",
    parameters: [path("name")],
    body: body("ConnectionChanges"),
    answers: { 200: ["Changed", "ConnectionView"], 404: "None", 422: "Every fault" },
  },
  "DELETE /v1/connections/{name}": {
    tag: "connections",
    summary: "Delete a connection",
    parameters: [path("name")],
    answers: { 204: "Gone", 409: "A pipeline uses it" },
  },
  "POST /v1/connections/{name}/reset": {
    tag: "connections",
    summary: "Close a connection's circuit by hand",
    parameters: [path("name")],
    body: body("Pause", false),
    answers: { 200: ["Closed", "CircuitReset"], 404: "None", 409: "It has no circuit breaker" },
  },
  "POST /v1/connections/{name}/check": {
    tag: "connections",
    summary: "Try the connection",
    parameters: [path("name")],
    answers: { 200: ["ok, or what is wrong", "Inspection"] },
  },
  "POST /v1/connections/{name}/discover": {
    tag: "connections",
    summary: "List streams with their columns",
    parameters: [path("name")],
    answers: { 200: ["Streams, or what is wrong", "Inspection"] },
  },
  "GET /v1/pipelines": { tag: "pipelines", summary: "List pipelines", parameters: PAGE, answers: { 200: ["A page", "Pipelines"] } },
  "POST /v1/pipelines/validate": {
    tag: "pipelines",
    summary: "Check a definition without saving it",
    body: DEFINITION,
    answers: { 200: ["Valid", "Validation"], 422: "Every fault, with line and column" },
  },
  "GET /v1/pipelines/{name}": {
    tag: "pipelines",
    summary: "Show the latest version",
    parameters: [path("name")],
    answers: { 200: ["The version, and whether the pipeline is paused", "Pipeline"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/pause": {
    tag: "pipelines",
    summary: "Pause a pipeline: schedules do not fire, requests to start it are refused; its open runs as asked",
    parameters: [path("name")],
    body: body("PipelinePause", false),
    answers: { 200: ["Paused", "PipelinePaused"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/resume": {
    tag: "pipelines",
    summary: "Let a pipeline go on, and the runs that were paused with it",
    parameters: [path("name")],
    body: body("Pause", false),
    answers: { 200: ["It goes on", "PipelinePaused"], 404: "None" },
  },
  "PUT /v1/pipelines/{name}": {
    tag: "pipelines",
    summary: "Deploy a definition: a new version unless nothing changed",
    parameters: [path("name")],
    body: DEFINITION,
    answers: {
      200: ["Unchanged", "Deployment"],
      201: ["A new version, with the changed paths", "Deployment"],
      422: "Every fault, with line and column",
    },
  },
  "GET /v1/pipelines/{name}/loads": {
    tag: "pipelines",
    summary: "Where each load of the pipeline stands, as its last run reported",
    parameters: [path("name"), ...PAGE],
    answers: { 200: ["A page", "Loads"], 404: "None" },
  },
  "GET /v1/pipelines/{name}/versions": {
    tag: "pipelines",
    summary: "List versions",
    parameters: [path("name"), ...PAGE],
    answers: { 200: ["A page", "Versions"], 404: "None" },
  },
  "GET /v1/pipelines/{name}/versions/{version}": {
    tag: "pipelines",
    summary: "Show a version",
    parameters: [path("name"), path("version")],
    answers: { 200: ["The version", "Version"], 404: "None" },
  },
  "GET /v1/schedules": {
    tag: "schedules",
    summary: "List the schedules of all pipelines",
    parameters: PAGE,
    answers: { 200: ["A page", "Schedules"] },
  },
  "POST /v1/schedules/preview": {
    tag: "schedules",
    summary: "When a schedule would fire, without deploying it",
    body: body("SchedulePreview"),
    answers: { 200: ["Its next firings, jitter aside", "Firings"], 422: "Every fault" },
  },
  "GET /v1/pipelines/{name}/schedules": {
    tag: "schedules",
    summary: "List the schedules of a pipeline",
    parameters: [path("name"), ...PAGE],
    answers: { 200: ["A page", "Schedules"], 404: "No such pipeline" },
  },
  "GET /v1/pipelines/{name}/schedules/{schedule}": {
    tag: "schedules",
    summary: "Show a schedule",
    parameters: [path("name"), path("schedule")],
    answers: { 200: ["The schedule", "Schedule"], 404: "None" },
  },
  "GET /v1/pipelines/{name}/schedules/{schedule}/next": {
    tag: "schedules",
    summary: "When it fires next, paused or not, and with which data intervals",
    parameters: [path("name"), path("schedule"), ...queryOf(firingsQuery)],
    answers: { 200: ["Its next firings, jitter aside", "Firings"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/schedules/{schedule}/pause": {
    tag: "schedules",
    summary: "Pause a schedule: it fires no more; its open runs go on",
    parameters: [path("name"), path("schedule")],
    body: body("Pause", false),
    answers: { 200: ["It is paused", "Schedule"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/schedules/{schedule}/resume": {
    tag: "schedules",
    summary: "Resume a schedule",
    parameters: [path("name"), path("schedule")],
    body: body("Pause", false),
    answers: { 200: ["It fires again", "Schedule"], 404: "None" },
  },
  ...backfillOperations({ path, header, body, queryOf }),
  ...triggerOperations({ path, header, body, page: PAGE }),
  "POST /v1/pipelines/{name}/runs": {
    tag: "runs",
    summary: "Trigger a run",
    parameters: [path("name"), WAIT, header("idempotency-key", "The same key gives the same run")],
    body: body("Trigger", false),
    answers: {
      200: ["The run has ended", "Run"],
      202: ["The run goes on", "Run"],
      409: "The key belongs to another request, the pipeline is paused, or as many runs go on as may",
      422: "Params do not fit",
    },
  },
  "GET /v1/runs": {
    tag: "runs",
    summary: "List runs, newest first",
    parameters: queryOf(runListQuery),
    answers: { 200: ["A page", "Runs"] },
  },
  "GET /v1/runs/{id}": {
    tag: "runs",
    summary: "Show a run with its tasks, attempts and errors",
    parameters: [path("id"), WAIT],
    answers: { 200: ["The run", "Run"], 404: "None" },
  },
  "POST /v1/runs/{id}/cancel": {
    tag: "runs",
    summary: "Cancel a run; running tasks are told to stop",
    parameters: [path("id")],
    body: body("Cancellation", false),
    answers: { 202: ["It is being cancelled", "Cancelling"], 409: "It has ended" },
  },
  "GET /v1/runs/{id}/tasks/{task}/items": {
    tag: "runs",
    summary: "List the items of a task with for_each",
    parameters: [path("id"), path("task"), ...queryOf(itemListQuery)],
    answers: { 200: ["A page", "Items"], 404: "None" },
  },
  "GET /v1/assets": {
    tag: "assets",
    summary: "List what tasks have made, by name",
    parameters: queryOf(assetListQuery),
    answers: { 200: ["A page", "Assets"] },
  },
  "GET /v1/assets/{name}": {
    tag: "assets",
    summary: "Show an asset; a / in its name is written %2F",
    parameters: [path("name")],
    answers: { 200: ["The asset with its newest update", "Asset"], 404: "No task has made it" },
  },
  "GET /v1/assets/{name}/updates": {
    tag: "assets",
    summary: "List the updates of an asset, newest first",
    parameters: [path("name"), ...PAGE],
    answers: { 200: ["A page", "AssetUpdates"], 404: "No task has made it" },
  },
  "GET /v1/pools": { tag: "pools", summary: "List pools", parameters: PAGE, answers: { 200: ["A page", "Pools"] } },
  "GET /v1/pools/{name}": {
    tag: "pools",
    summary: "Show a pool with who holds its slots and who waits",
    parameters: [path("name")],
    answers: { 200: ["The pool", "PoolState"], 404: "None" },
  },
  "PUT /v1/pools/{name}": {
    tag: "pools",
    summary: "Create a pool or change its number of slots; what is held stays held",
    parameters: [path("name")],
    body: body("Pool"),
    answers: { 200: ["Changed", "PoolView"], 201: ["Created", "PoolView"] },
  },
  "DELETE /v1/pools/{name}": {
    tag: "pools",
    summary: "Delete a pool",
    parameters: [path("name")],
    answers: { 204: "Gone", 404: "None", 409: "A pipeline uses it" },
  },
  "POST /v1/runs/{id}/rerun": {
    tag: "runs",
    summary: "Repeat a run that has ended: from what has not succeeded, from a task, or whole",
    parameters: [path("id"), WAIT, header("idempotency-key", "The same key gives the same run")],
    body: body("Rerun", false),
    answers: {
      200: ["The new run has ended", "Run"],
      202: ["The new run goes on", "Run"],
      404: "None",
      409: "It has not ended, the pipeline is paused, or as many runs go on as may",
      422: "Params do not fit",
    },
  },
  "POST /v1/runs/{id}/pause": {
    tag: "runs",
    summary: "Pause a run: what runs goes on to its end, nothing new begins",
    parameters: [path("id"), ACTION_KEY],
    body: body("Pause", false),
    answers: { 200: ["It is paused", "Acted"], 404: "None", 409: "It has ended" },
  },
  "POST /v1/runs/{id}/resume": {
    tag: "runs",
    summary: "Resume a paused run",
    parameters: [path("id"), ACTION_KEY],
    body: body("Pause", false),
    answers: { 200: ["It goes on", "Acted"], 404: "None", 409: "It has ended" },
  },
  "POST /v1/runs/{id}/tasks/{task}/continue": {
    tag: "runs",
    summary: "Let a parked task go on, changed where that mends it",
    parameters: [path("id"), path("task"), ACTION_KEY],
    body: body("Continuation", false),
    answers: { 200: ["It goes on", "Acted"], 404: "None", 409: "It is not parked", 422: "Every fault of the change" },
  },
  "POST /v1/runs/{id}/tasks/{task}/mark": {
    tag: "runs",
    summary: "End a task by hand that does not run: succeeded, skipped or failed",
    parameters: [path("id"), path("task"), ACTION_KEY],
    body: body("Mark"),
    answers: { 200: ["Marked", "Acted"], 404: "None", 409: "It runs or has ended" },
  },
  "POST /v1/runs/{id}/tasks/{task}/decide": {
    tag: "runs",
    summary: "Approve or reject",
    parameters: [path("id"), path("task"), ACTION_KEY],
    body: body("Decision"),
    answers: { 200: ["Decided", "Acted"], 404: "None", 409: "It waits for no decision, or not for yours" },
  },
};

const ROUTES = Map.groupBy(
  Object.keys(OPERATIONS).map((key) => key.split(" ") as [string, string]),
  ([, template]) => template,
);
const PATTERNS = [...ROUTES.keys()].map((template) => ({
  template,
  // A path without parameters is the better match: /v1/pipelines/validate is no pipeline.
  literal: !template.includes("{"),
  pattern: new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{[^}]+\}/g, "[^/]+")}/?$`),
}));
PATTERNS.sort((left, right) => Number(right.literal) - Number(left.literal));

/** The documented path that a request's path fits, such as `/v1/runs/{id}`. */
export const pathTemplate = (requestPath: string): string | undefined =>
  PATTERNS.find(({ pattern }) => pattern.test(requestPath))?.template;

/** Methods that any documented path which fits takes. */
export const methodsAt = (requestPath: string): readonly string[] => [
  ...new Set(
    PATTERNS.filter(({ pattern }) => pattern.test(requestPath)).flatMap(({ template }) =>
      (ROUTES.get(template) ?? []).map(([method]) => method),
    ),
  ),
];

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [key: string]: unknown;
}

const PROBLEM = { "application/problem+json": { schema: { $ref: component("Problem") } } };

const answerObject = (answer: string | Answer, status: number): Json => {
  if (typeof answer === "string") return status < 400 ? { description: answer } : { description: answer, content: PROBLEM };
  const [description, carried] = answer;
  return {
    description,
    content:
      carried === "text/plain"
        ? { "text/plain": { schema: { type: "string" } } }
        : { "application/json": { schema: { $ref: component(carried) } } },
  };
};

const operationObject = ({ summary, tag, parameters, body: requestBody, answers }: Operation): Json => ({
  summary,
  tags: [tag],
  ...(parameters === undefined ? {} : { parameters }),
  ...(requestBody === undefined ? {} : { requestBody }),
  responses: {
    ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerObject(answer, Number(status))])),
    default: { description: "A problem", content: PROBLEM },
  },
});

let document: OpenApiDocument | undefined;

export const openApiDocument = (): OpenApiDocument => {
  document ??= buildDocument();
  return document;
};

const buildDocument = (): OpenApiDocument => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [method = "", template = ""] = key.split(" ");
    paths[template] = { ...paths[template], [method.toLowerCase()]: operationObject(operation) };
  }
  // The document has a dialect and ids of its own.
  const { $schema: _dialect, $id: _id, ...definition } = definitionJsonSchema();
  const schemas: Record<string, Json> = { Definition: definition };
  for (const [name, schema] of Object.entries({ ...BODIES, ...ANSWERS })) schemas[name] = schemaOf(schema);
  return {
    openapi: "3.1.0",
    info: {
      title: "Downbeat",
      version: "1",
      description: "Manages definitions and triggers runs. Errors are RFC 9457 problems with a code of the error table.",
    },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, movedTo(component(name), schema)])),
      securitySchemes: { bearer: { type: "http", scheme: "bearer" }, apiKey: { type: "apiKey", in: "header", name: "x-api-key" } },
    },
    security: [{ bearer: [] }, { apiKey: [] }, {}],
  };
};
