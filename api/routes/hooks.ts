// /v1/hooks/:pipeline/:trigger: takes signed events of webhooks. It needs no API key: the signature is the key.

import { raw, Router } from "express";
import { DownbeatError } from "../../core/errors.ts";
import { type Json, storable, storableText } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import { settingsOf, takeEvent } from "../../store/take-event.ts";
import { isTriggerPaused } from "../../store/triggers.ts";
import type { ApiDeps } from "../deps.ts";
import { pathParam } from "../request.ts";
import { verifySignature } from "../webhook-signature.ts";

const readBody = (body: Buffer, contentType: string): Json => {
  const text = body.toString("utf8");
  if (text === "") return null;
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType))
    return Object.fromEntries([...new URLSearchParams(text)].map(([key, value]) => [storableText(key), storableText(value)]));
  if (!/^[^;]*\bjson\b/i.test(contentType)) return storableText(text);
  try {
    return storable(JSON.parse(text) as Json, text);
  } catch {
    throw new DownbeatError("REQUEST_INVALID", `the body is not JSON, although its content-type is ${contentType}`);
  }
};

export const hookRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  router.use(raw({ type: () => true, limit: LIMITS.eventBytes }));

  router.post("/:pipeline/:trigger", async (request, response) => {
    const ref = { pipeline: pathParam(request, "pipeline"), name: pathParam(request, "trigger") };
    const trigger = await deps.store.triggers.find(ref);
    const source = trigger?.plan.source;
    if (trigger === undefined || source?.kind !== "webhook") throw new DownbeatError("NOT_FOUND", "there is no such webhook");
    const secret = await deps.resolveSecret(source.secret).catch((error: unknown) => {
      deps.log.error({ err: error, ...ref }, "a webhook's secret cannot be read");
      throw new DownbeatError("SECRET_UNRESOLVED", "the webhook's secret cannot be read; the API's log says why");
    });
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const key = verifySignature(source, { headers: request.headers, body }, secret, Date.now());
    if (isTriggerPaused(trigger)) throw new DownbeatError("TRIGGER_PAUSED", "the trigger is paused; send the event again later");
    const data = readBody(body, request.headers["content-type"] ?? "");
    const taken = await takeEvent(deps.store.triggers, trigger, { key, data });
    // Also an event that is known but part of no run: its first sending may have ended between store and Temporal.
    if (taken.counts && taken.runId === null) await deps.orchestrator.triggers.tell(settingsOf(trigger), { id: taken.id });
    const { batch, debounce } = trigger.plan.timing;
    const own = taken.counts && batch === undefined && debounce === undefined ? taken.id : null;
    response.status(202).json({ event: taken.id, counts: taken.counts, run: taken.runId ?? own });
  });

  return router;
};
