// Whether a webhook's request was signed with the trigger's secret, and what its sender calls the event.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { DownbeatError } from "../core/errors.ts";
import type { TriggerSource } from "../core/trigger.ts";

/** Clocks differ, and requests take their time; older ones may have been recorded by somebody. */
const TOLERANCE_MS = 5 * 60_000;

const refused = (message: string): DownbeatError => new DownbeatError("SIGNATURE_INVALID", message);

const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name];
  return typeof value === "string" && value !== "" ? value : undefined;
};

/** In a time that tells nothing of where they differ. */
const isSame = (given: string, expected: string): boolean => {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
};

/** As Standard Webhooks has it: secrets of the form whsec_… are base64. */
const keyOf = (secret: string): Buffer =>
  secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : Buffer.from(secret);

const standard = (headers: IncomingHttpHeaders, body: Buffer, secret: string, now: number): string => {
  const [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => headerOf(headers, name));
  if (id === undefined || timestamp === undefined || signatures === undefined)
    throw refused("send the headers webhook-id, webhook-timestamp and webhook-signature");
  const isInTime = /^\d{1,12}$/.test(timestamp) && Math.abs(Number(timestamp) * 1_000 - now) <= TOLERANCE_MS;
  const expected = `v1,${createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
  const isRight = signatures.split(" ").map((given) => isSame(given, expected));
  if (!isRight.includes(true)) throw refused("the signature is not right: it is an HMAC over id, timestamp and the raw body");
  if (!isInTime) throw refused("webhook-timestamp, in seconds since 1970, is not within 5 minutes of this server's clock");
  return id;
};

const github = (headers: IncomingHttpHeaders, body: Buffer, secret: string): string => {
  const given = headerOf(headers, "x-hub-signature-256");
  const expected = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  if (given === undefined || !isSame(given, expected)) throw refused("x-hub-signature-256 is not the HMAC of the raw body");
  return headerOf(headers, "x-github-delivery") ?? createHash("sha256").update(body).digest("hex");
};

/** Answers the event's key. Throws SIGNATURE_INVALID. */
export const verifySignature = (
  { signature }: Extract<TriggerSource, { kind: "webhook" }>,
  request: { readonly headers: IncomingHttpHeaders; readonly body: Buffer },
  secret: string,
  now: number,
): string =>
  signature === "github" ? github(request.headers, request.body, secret) : standard(request.headers, request.body, secret, now);
