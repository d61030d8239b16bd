// /v1/pipelines/:name/triggers: list, show, try, pause and resume.

import { Router, type Request } from "express";
import { z } from "zod";
import type { Json } from "../../core/json.ts";
import type { TriggerView } from "../orchestrator-triggers.ts";
import { type EventRecord, eventStatus, isTriggerPaused, type TriggerRecord } from "../../store/triggers.ts";
import type { ApiDeps } from "../deps.ts";
import { moment } from "../present.ts";
import { applyTriggers } from "../reconcile-triggers.ts";
import { pauseByHand } from "../paused-by-hand.ts";
import { decodeCursor, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { eventListQuery, pageQuery, triggerTestBody } from "../schemas.ts";
import { tryEvent } from "../try-event.ts";

const presentTrigger = (record: TriggerRecord, state: TriggerView | undefined) => {
  const { pipeline, name, version, plan, byHand, updatedAt } = record;
  return {
    pipeline,
    name,
    version,
    kind: plan.source.kind,
    summary: plan.summary,
    paused: isTriggerPaused(record),
    by_hand: byHand === null ? null : { by: byHand.by, why: byHand.why ?? null, at: moment(byHand.at) },
    state:
      state === undefined
        ? null
        : {
            waiting: state.waiting,
            last_event_at: state.lastEventAt ?? null,
            last_run: state.lastRun ?? null,
            held_for: state.heldFor ?? null,
            looks: state.looks ?? null,
          },
    updated_at: moment(updatedAt),
    links: plan.source.kind === "webhook" ? { hook: `/v1/hooks/${pipeline}/${name}` } : {},
  };
};

const presentEvent = (event: EventRecord) => ({
  id: event.id,
  status: eventStatus(event),
  at: moment(event.receivedAt),
  subject: event.subject,
  data: event.data,
  run: event.error === null ? event.runId : null,
  error: event.error,
  links: event.runId === null || event.error !== null ? {} : { run: `/v1/runs/${event.runId}` },
});

export const triggerRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store, orchestrator } = deps;
  const present = async (record: TriggerRecord) => presentTrigger(record, await orchestrator.triggers.stateOf(record));

  const existing = async (request: Request): Promise<TriggerRecord> => {
    const asked = { pipeline: pathParam(request, "name"), name: pathParam(request, "trigger") };
    const found = await store.triggers.find(asked);
    if (found === undefined) throw notFound("trigger", `${asked.pipeline}/${asked.name}`);
    return found;
  };

  router.get("/", async (request, response) => {
    const pipeline = pathParam(request, "name");
    if ((await store.definitions.find(pipeline)) === undefined) throw notFound("pipeline", pipeline);
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    const found = await store.triggers.list({
      pipeline,
      limit: limit + 1,
      ...(after === undefined ? {} : { after: { pipeline, name: after } }),
    });
    const { items, next } = page(found, limit, ({ name }) => name);
    response.json({ items: await Promise.all(items.map(present)), next });
  });

  router.get("/:trigger", async (request, response) => {
    response.json(await present(await existing(request)));
  });

  router.get("/:trigger/events", async (request, response) => {
    const found = await existing(request);
    const { limit, cursor, status } = parseInput(eventListQuery, request.query);
    const after = decodeCursor(z.strictObject({ at: z.string(), id: z.string() }), cursor);
    const events = await store.triggers.events(found, {
      limit: limit + 1,
      ...(status === undefined ? {} : { status }),
      ...(after === undefined ? {} : { after }),
    });
    const { items, next } = page(events, limit, ({ receivedAt, id }) => ({ at: receivedAt, id }));
    response.json({ items: items.map(presentEvent), next });
  });

  router.post("/:trigger/test", async (request, response) => {
    const { data, subject = null } = parseInput(triggerTestBody, jsonBody(request));
    response.json(await tryEvent(deps, await existing(request), { data: data as Json, subject }));
  });

  for (const action of ["pause", "resume"] as const) {
    router.post(`/:trigger/${action}`, async (request, response) => {
      const changed = await pauseByHand("trigger", store.triggers, await existing(request), action, request);
      await applyTriggers(deps, changed.pipeline, []);
      response.json(await present(changed));
    });
  }

  return router;
};
