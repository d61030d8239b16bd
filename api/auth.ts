// The API key: when one is configured, every request but the health checks needs it.

import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import { DownbeatError } from "../core/errors.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

export const requireApiKey = (apiKey: string): RequestHandler => {
  const expected = digest(apiKey);
  return (request, _response, next) => {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const header = request.headers["x-api-key"];
    const given = bearer ?? (typeof header === "string" ? header : undefined);
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new DownbeatError("UNAUTHENTICATED", 'send the API key as "Authorization: Bearer …" or "X-API-Key: …"');
    }
    next();
  };
};
