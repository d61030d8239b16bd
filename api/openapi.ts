// The OpenAPI document, out of the same schemas that read the requests.

import { definitionJsonSchema } from "../core/definition.ts";
import { ANSWERS } from "./answers.ts";
import { OPERATIONS } from "./openapi-operations.ts";
import { type Answer, BODIES, component, type Json, type Operation, schemaOf } from "./openapi-parts.ts";

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
