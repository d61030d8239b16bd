// The OpenAPI document, out of the same schemas that read the requests.

import { z } from "zod";
import { definitionJsonSchema } from "../core/definition.ts";
import { ERRORS } from "../core/errors.ts";

type Json = Record<string, unknown>;

interface Operation {
  readonly summary: string;
  readonly tag: string;
  readonly parameters?: readonly Json[];
  readonly body?: Json;
  readonly answers: Readonly<Record<number, string>>;
}

const path = (name: string): Json => ({ name, in: "path", required: true, schema: { type: "string" } });
const query = (name: string, description: string, schema: Json = { type: "string" }): Json => ({ name, in: "query", description, schema });
const header = (name: string, description: string): Json => ({ name, in: "header", description, schema: { type: "string" } });

const PAGE = [query("limit", "1 to 500", { type: "integer", default: 50 }), query("cursor", "`next` of the page before")];
const WAIT = query("wait", 'How long to wait for the end of the run, such as "60s"; at most 10m');

const json = (schema: Json): Json => ({ required: true, content: { "application/json": { schema } } });
const DEFINITION: Json = {
  required: true,
  content: {
    "application/yaml": { schema: { type: "string" } },
    "application/json": { schema: { $ref: "#/components/schemas/Definition" } },
  },
};

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /health/live": { tag: "system", summary: "Whether the process answers", answers: { 200: "It does" } },
  "GET /health/ready": {
    tag: "system",
    summary: "Whether store, Temporal and workers are there",
    answers: { 200: "Ready", 503: "What is missing" },
  },
  "GET /metrics": { tag: "system", summary: "Prometheus metrics", answers: { 200: "Text format" } },
  "GET /v1/connectors": {
    tag: "connectors",
    summary: "Every connector with its capabilities and configuration schema",
    answers: { 200: "The catalogue" },
  },
  "GET /v1/connections": {
    tag: "connections",
    summary: "List connections",
    parameters: PAGE,
    answers: { 200: "A page; secrets are not shown" },
  },
  "GET /v1/connections/{name}": {
    tag: "connections",
    summary: "Show a connection",
    parameters: [path("name")],
    answers: { 200: "The connection", 404: "None" },
  },
  "PUT /v1/connections/{name}": {
    tag: "connections",
    summary: "Create or replace a connection",
    parameters: [path("name")],
    body: json({
      type: "object",
      required: ["kind", "config"],
      properties: {
        kind: { type: "string" },
        config: { type: "object", description: 'Secrets as text, or {"env": NAME} or {"file": PATH}' },
      },
    }),
    answers: { 200: "Replaced", 201: "Created", 422: "Every fault" },
  },
  "DELETE /v1/connections/{name}": {
    tag: "connections",
    summary: "Delete a connection",
    parameters: [path("name")],
    answers: { 204: "Gone", 409: "A pipeline uses it" },
  },
  "POST /v1/connections/{name}/check": {
    tag: "connections",
    summary: "Try the connection",
    parameters: [path("name")],
    answers: { 200: "ok, or what is wrong" },
  },
  "POST /v1/connections/{name}/discover": {
    tag: "connections",
    summary: "List streams with their columns",
    parameters: [path("name")],
    answers: { 200: "Streams" },
  },
  "GET /v1/pipelines": { tag: "pipelines", summary: "List pipelines", parameters: PAGE, answers: { 200: "A page" } },
  "POST /v1/pipelines/validate": {
    tag: "pipelines",
    summary: "Check a definition without saving it",
    body: DEFINITION,
    answers: { 200: "Valid", 422: "Every fault, with line and column" },
  },
  "GET /v1/pipelines/{name}": {
    tag: "pipelines",
    summary: "Show the latest version",
    parameters: [path("name")],
    answers: { 200: "The version", 404: "None" },
  },
  "PUT /v1/pipelines/{name}": {
    tag: "pipelines",
    summary: "Deploy a definition: a new version unless nothing changed",
    parameters: [path("name")],
    body: DEFINITION,
    answers: { 200: "Unchanged", 201: "A new version, with the changed paths", 422: "Every fault, with line and column" },
  },
  "GET /v1/pipelines/{name}/versions": {
    tag: "pipelines",
    summary: "List versions",
    parameters: [path("name"), ...PAGE],
    answers: { 200: "A page" },
  },
  "GET /v1/pipelines/{name}/versions/{version}": {
    tag: "pipelines",
    summary: "Show a version",
    parameters: [path("name"), path("version")],
    answers: { 200: "The version", 404: "None" },
  },
  "POST /v1/pipelines/{name}/runs": {
    tag: "runs",
    summary: "Trigger a run",
    parameters: [path("name"), WAIT, header("idempotency-key", "The same key gives the same run")],
    body: { ...json({ type: "object", properties: { params: { type: "object" }, version: { type: "integer" } } }), required: false },
    answers: { 200: "The run has ended", 202: "The run goes on", 409: "The key belongs to another request", 422: "Params do not fit" },
  },
  "GET /v1/runs": {
    tag: "runs",
    summary: "List runs, newest first",
    parameters: [
      ...PAGE,
      query("pipeline", "Only of this pipeline"),
      query("status", "One or more, with commas"),
      query("trigger", "Only by this trigger"),
      query("since", "Created at or after, ISO 8601"),
    ],
    answers: { 200: "A page" },
  },
  "GET /v1/runs/{id}": {
    tag: "runs",
    summary: "Show a run with its tasks, attempts and errors",
    parameters: [path("id"), WAIT],
    answers: { 200: "The run", 404: "None" },
  },
  "POST /v1/runs/{id}/cancel": {
    tag: "runs",
    summary: "Cancel a run; running tasks are told to stop",
    parameters: [path("id")],
    answers: { 202: "It is being cancelled", 409: "It has ended" },
  },
};

const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.enum(Object.keys(ERRORS) as [string, ...string[]]),
  detail: z.string(),
  instance: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
  issues: z
    .array(z.looseObject({ code: z.string(), path: z.string(), message: z.string(), line: z.int().optional(), column: z.int().optional() }))
    .optional(),
});

export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [key: string]: unknown;
}

const operationObject = ({ summary, tag, parameters, body, answers }: Operation): Json => ({
  summary,
  tags: [tag],
  ...(parameters === undefined ? {} : { parameters }),
  ...(body === undefined ? {} : { requestBody: body }),
  responses: {
    ...Object.fromEntries(
      Object.entries(answers).map(([status, description]) => [
        status,
        Number(status) < 400
          ? { description }
          : { description, content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } },
      ]),
    ),
    default: { description: "A problem", content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } },
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
  const { $schema: _problem, ...problem } = z.toJSONSchema(problemSchema);
  const { $schema: _definition, ...definition } = definitionJsonSchema();
  return {
    openapi: "3.1.0",
    info: {
      title: "Downbeat",
      version: "1",
      description: "Manages definitions and triggers runs. Errors are RFC 9457 problems with a code of the error table.",
    },
    paths,
    components: {
      schemas: { Problem: problem, Definition: definition },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" }, apiKey: { type: "apiKey", in: "header", name: "x-api-key" } },
    },
    security: [{ bearer: [] }, { apiKey: [] }, {}],
  };
};
