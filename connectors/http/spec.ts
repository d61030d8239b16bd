// HTTP APIs: a paged source, a receiver of published rows, and the http operator's caller.

import { z } from "zod";
import { declaredColumns } from "../lib/column-types.ts";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { decoded, tableOfPath } from "../lib/urls.ts";

const auth = z.enum(["none", "api_key", "bearer", "basic", "oauth2_client_credentials"]);

export const httpConfig = z.strictObject({
  base_url: z.url({ protocol: /^https?$/ }).describe("Paths and streams are appended to it"),
  auth: auth.default("none"),
  api_key: secret("Key for auth api_key").optional(),
  api_key_header: z.string().optional().describe("Header that carries the key; default X-API-Key, unless api_key_query is set"),
  api_key_query: z.string().optional().describe("Query parameter that carries the key"),
  token: secret("Token for auth bearer").optional(),
  user: z.string().optional().describe("For auth basic"),
  password: secret("For auth basic").optional(),
  token_url: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("For auth oauth2_client_credentials"),
  client_id: z.string().optional(),
  client_secret: secret("For auth oauth2_client_credentials").optional(),
  scope: z.string().optional(),
  headers: z.record(z.string(), z.string()).default({}).describe("Sent with every request; no secrets"),
  requests_per_second: z.number().positive().optional().describe("Never faster than this"),
  timeout_seconds: z.number().positive().max(3_600).default(60).describe("One request"),
  max_retry_after_seconds: z
    .number()
    .min(0)
    .default(60)
    .describe("A Retry-After up to this is waited for in place; a longer one ends the attempt, and the task waits"),
});

export type HttpConfig = z.output<typeof httpConfig>;

export const httpSourceOptions = z.strictObject({
  records: z.string().optional().describe('Dotted path of the list in the answer, such as "data.items"; default: the answer itself'),
  pagination: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("none") }),
      z.strictObject({ type: z.literal("link") }).describe("The Link header's rel=next (RFC 8288)"),
      z.strictObject({
        type: z.literal("page"),
        param: z.string().default("page"),
        start: z.int().default(1),
        size_param: z.string().optional(),
        size: z.int().min(1).optional(),
      }),
      z.strictObject({
        type: z.literal("cursor"),
        param: z.string(),
        path: z.string().describe("Dotted path of the next cursor in the answer; null or missing ends"),
      }),
    ])
    .default({ type: "none" }),
  params: z.record(z.string(), z.string()).default({}).describe("Query parameters of every page"),
  since_param: z.string().optional().describe("With `cursor`: query parameter that takes the largest cursor value of the last run"),
  columns: declaredColumns("int64, decimal(12,2), timestamptz").optional().describe("Names and types; default: inferred"),
  max_pages: z.int().min(1).default(100_000),
});

export type HttpSourceOptions = z.output<typeof httpSourceOptions>;

export const httpPublishOptions = z.strictObject({
  path: z.string().default("/"),
  method: z.enum(["POST", "PUT", "PATCH"]).default("POST"),
  batch_size: z.int().min(1).max(100_000).default(500).describe("Rows in one message"),
  body: z.enum(["rows", "row"]).default("rows").describe('rows: {"rows": […]}; row: one row a message, as it is'),
});

export type HttpPublishOptions = z.output<typeof httpPublishOptions>;

export const http = defineConnector({
  kind: "http",
  title: "HTTP API",
  description: "JSON over HTTP: reads paged endpoints, delivers rows to webhooks, makes single calls",
  roles: ["source", "publish", "http"],
  config: httpConfig,
  sourceOptions: httpSourceOptions,
  publishOptions: httpPublishOptions,
  capabilities: { incremental: "cursor", resumable: false },
  url: {
    schemes: ["http", "https"],
    example: "https://api.example.com/v1/orders?status=open",
    keepsQuery: true,
    read: (text) => {
      const url = URL.parse(text);
      if (url === null) return "it is no URL";
      const [user, password] = [url.username, url.password].map(decoded);
      return {
        config: { base_url: url.origin, ...(user ? { auth: "basic", user, password: password ?? "" } : {}) },
        ...(url.pathname === "/" ? {} : { stream: url.pathname }),
        ...(url.search === "" ? {} : { options: { params: Object.fromEntries(url.searchParams) } }),
        place: url.origin,
      };
    },
    tableOf: tableOfPath,
  },
  notes: `
A stream is a path under \`base_url\`. Rows are JSON objects; types are inferred, or declared with \`columns\`: times are text unless declared. With \`cursor\` and \`since_param\` the next run asks
only for what is newer, and a load commits once, at its end.

Published messages carry \`Idempotency-Key: RUN/TASK/N\`, the same on every repetition, so that a receiver can tell. Redirects to another host are refused, since they would take the credentials along.
A 429 or 503 with Retry-After is waited for; 5xx and broken connections are retried by the task.
`.trim(),
  open: async (config, context) => (await import("./connector.ts")).openHttp(config, context),
});
