// Reads requests: bodies and queries by schema, all faults at once; pages with opaque cursors.

import type { Request } from "express";
import type { z } from "zod";
import type { Keyed } from "../core/acted-keys.ts";
import { DownbeatError } from "../core/errors.ts";
import { formatPath, type PathPart } from "../core/issues.ts";
import { contentHash } from "./hash.ts";
import { IssuesError } from "./problem.ts";

export const parseInput = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new IssuesError(
    "REQUEST_INVALID",
    parsed.error.issues.map((issue) => ({
      code: issue.code === "unrecognized_keys" ? "UNKNOWN_KEY" : "INVALID_VALUE",
      path: formatPath(issue.path.filter((part): part is PathPart => typeof part !== "symbol")),
      message: issue.message,
    })),
  );
};

/** A JSON body; absent is an empty object. Another content type is refused rather than ignored. */
export const jsonBody = (request: Request): unknown => {
  if (request.body === undefined || request.body === "") {
    if (Number(request.headers["content-length"] ?? 0) > 0 || request.headers["transfer-encoding"] !== undefined) {
      throw new DownbeatError(
        "MEDIA_TYPE_UNSUPPORTED",
        `content-type "${request.headers["content-type"] ?? "(none)"}" is not read here; send application/json`,
      );
    }
    return {};
  }
  if (typeof request.body === "string") throw new DownbeatError("MEDIA_TYPE_UNSUPPORTED", "this endpoint reads application/json");
  return request.body as unknown;
};

/** Cursors are opaque to clients: JSON in base64url. */
export const encodeCursor = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export const decodeCursor = <Schema extends z.ZodType>(schema: Schema, cursor: string | undefined): z.output<Schema> | undefined => {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw new DownbeatError("REQUEST_INVALID", "the cursor is not one that this list gave; start again without it");
  }
};

/** One more than the page was asked for, to know whether there is a next one. */
export const page = <Item>(
  found: readonly Item[],
  limit: number,
  cursorOf: (last: Item) => unknown,
): { items: readonly Item[]; next: string | null } => {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? encodeCursor(cursorOf(last)) : null };
};

/** A path parameter, which the route's pattern says is there. */
export const pathParam = (request: Request, name: string): string => {
  const value = request.params[name];
  return typeof value === "string" ? value : "";
};

export const notFound = (what: string, name: string): DownbeatError => new DownbeatError("NOT_FOUND", `there is no ${what} "${name}"`);

const IDEMPOTENCY_KEY_LENGTH = 255;

export const idempotencyKeyOf = (request: Request): string | undefined => {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key.length === 0 || key.length > IDEMPOTENCY_KEY_LENGTH) {
    throw new DownbeatError("REQUEST_INVALID", `idempotency-key is one text of 1 to ${IDEMPOTENCY_KEY_LENGTH} characters`);
  }
  return key;
};

/** The request's key, with a digest of what it asks for: of whom, what, and the body as it was read. */
export const keyedOf = (request: Request, body: unknown): Keyed | undefined => {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return undefined;
  return { key, requestHash: contentHash({ method: request.method, path: `${request.baseUrl}${request.path}`, body }) };
};
