// /v1/backfills and /v1/pipelines/:name/backfills: plan, begin, list, show, act.

import { Router, type Request, type Response } from "express";
import { z } from "zod";
import {
  type BackfillControl,
  type BackfillState,
  controlBackfill,
  countPartitions,
  isBackfillEnded,
  partitionStatus,
  refuseBackfillControl,
} from "../../core/backfill.ts";
import { type Keyed, keyReused, keyUse } from "../../core/acted-keys.ts";
import { DownbeatError } from "../../core/errors.ts";
import { type Partition, partitionAt } from "../../core/partitions.ts";
import { isoIn } from "../../core/time-zone.ts";
import type { BackfillActionRecord, BackfillRecord } from "../../store/backfills.ts";
import { askedBackfill, type AskedBackfill, chosenPartitions, planOf } from "../backfill-request.ts";
import type { ApiDeps } from "../deps.ts";
import { contentHash } from "../hash.ts";
import { moment } from "../present.ts";
import { decodeCursor, idempotencyKeyOf, jsonBody, keyedOf, notFound, page, parseInput, pathParam } from "../request.ts";
import { runIdFor } from "../run-id.ts";
import { pauseBody } from "../schemas.ts";
import {
  backfillBody,
  backfillCancelBody,
  backfillChanges,
  backfillListQuery,
  backfillRetryBody,
  backfillSkipBody,
  partitionListQuery,
} from "../schemas-backfills.ts";

const presentBackfill = (record: BackfillRecord, state: BackfillState = record.state) => {
  const { id, pipeline, version, cut, schedule, params, existing, createdAt, finishedAt } = record;
  const counts = countPartitions(state);
  const self = `/v1/backfills/${id}`;
  const plan = state.open.length === 0 ? undefined : planOf(record.cut);
  return {
    id,
    pipeline,
    version,
    status: state.status,
    reason: state.reason ?? null,
    from: isoIn(cut.timezone, cut.from),
    to: isoIn(cut.timezone, cut.to),
    schedule,
    every: cut.every ?? null,
    timezone: cut.timezone,
    params,
    existing,
    order: state.order,
    concurrency: state.concurrency,
    priority: state.priority,
    stop_after_failures: state.stopAfterFailures,
    partitions: state.count,
    counts,
    progress: 1 - (counts.pending + counts.running) / state.count,
    window: state.open.flatMap(({ partition, runId }) => {
      const found = plan === undefined ? undefined : partitionAt(plan, partition);
      return found === undefined ? [] : [{ ...found, run: runId }];
    }),
    created_at: moment(createdAt),
    finished_at: finishedAt === null || !isBackfillEnded(state.status) ? null : moment(finishedAt),
    links: {
      self,
      partitions: `${self}/partitions`,
      runs: `/v1/runs?backfill=${id}`,
      pipeline: `/v1/pipelines/${pipeline}/versions/${version}`,
    },
  };
};

const presentAction = ({ action, by, why, details, at }: BackfillActionRecord) => ({ action, by, why, details, at: moment(at) });

/** Partitions that a dry run shows at either end. */
const SHOWN = 3;

const presentPlan = async ({ store }: ApiDeps, pipeline: string, asked: AskedBackfill, isSkipping: boolean) => {
  const { plan, state, version } = asked;
  const { bounds } = plan;
  const done = await store.backfills.succeededIntervals(pipeline, { from: bounds[0] ?? 0, to: bounds.at(-1) ?? 0 });
  const succeeded = new Set(done.map(({ start, end }) => `${start} ${end}`));
  const isDone = (partition: number): boolean => succeeded.has(`${bounds[partition]} ${bounds[partition + 1]}`);
  const all = Array.from({ length: state.count }, (_, partition) => partition);
  if (state.order === "newest-first") all.reverse();
  const wanted = isSkipping ? all.filter((partition) => !isDone(partition)) : all;
  const mean = await store.backfills.meanSeconds(pipeline);
  const show = (partitions: readonly number[]): readonly Partition[] =>
    partitions.flatMap((partition) => partitionAt(plan, partition) ?? []);
  return {
    dry_run: true,
    version: version.version,
    partitions: state.count,
    existing: all.filter(isDone).length,
    to_run: wanted.length,
    first: show(wanted.slice(0, SHOWN)),
    last: show(wanted.slice(-SHOWN)),
    mean_seconds: mean ?? null,
    estimated_seconds: mean === undefined ? null : mean * Math.ceil(wanted.length / state.concurrency),
  };
};

export const pipelineBackfillRoutes = (deps: ApiDeps): Router => {
  const router = Router({ mergeParams: true });
  const { store, orchestrator } = deps;

  router.post("/", async (request, response) => {
    const pipeline = pathParam(request, "name");
    const body = parseInput(backfillBody, jsonBody(request));
    const asked = await askedBackfill(store, pipeline, body, Date.now());
    if (body.dry_run) {
      response.json(await presentPlan(deps, pipeline, asked, body.existing === "skip"));
      return;
    }
    const idempotencyKey = idempotencyKeyOf(request) ?? null;
    const { version, cut, params, state } = asked;
    const { backfill } = await store.backfills.create(
      {
        id: runIdFor(pipeline, idempotencyKey === null ? undefined : `backfill\0${idempotencyKey}`),
        pipeline,
        version: version.version,
        planHash: version.hash,
        cut,
        schedule: body.schedule ?? null,
        params,
        existing: body.existing,
        state,
        idempotencyKey,
        requestHash: idempotencyKey === null ? null : contentHash(body),
      },
      { by: body.by, ...(body.why === undefined ? {} : { why: body.why }) },
    );
    // A repetition may have to start what an earlier request could only write down.
    if (backfill.seq === 0) await orchestrator.backfills.start({ id: backfill.id, pipeline, state: backfill.state, seq: 0 });
    response.status(202).location(`/v1/backfills/${backfill.id}`).json(presentBackfill(backfill));
  });

  return router;
};

export const backfillRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { store, orchestrator } = deps;

  const existing = async (request: Request): Promise<BackfillRecord> => {
    const id = pathParam(request, "id");
    const found = await store.backfills.find(id);
    if (found === undefined) throw notFound("backfill", id);
    return found;
  };

  interface ActBody {
    readonly by: string;
    readonly why?: string | undefined;
  }

  const act = async (
    request: Request,
    response: Response,
    body: ActBody,
    asked: BackfillControl | ((record: BackfillRecord) => BackfillControl),
  ): Promise<void> => {
    const record = await existing(request);
    const { by, why } = body;
    const actor = { by, ...(why === undefined ? {} : { why }) };
    const keyed = keyedOf(request, body);
    // Also of one that has ended since, or goes on again by just this action.
    if (isRepeated(record.state, keyed)) {
      response.json(presentBackfill(record));
      return;
    }
    const control = typeof asked === "function" ? asked(record) : asked;
    if (!isBackfillEnded(record.state.status)) {
      const state = await orchestrator.backfills.control(record, { control, ...actor }, keyed);
      response.json(presentBackfill(record, state));
      return;
    }
    const reason = refuseBackfillControl(record.state, control);
    if (reason !== undefined) throw new DownbeatError("ACTION_REFUSED", reason);
    response.json(presentBackfill(record, await beginAgain(deps, record, control, actor, keyed)));
  };

  router.get("/", async (request, response) => {
    const { limit, cursor, pipeline, status } = parseInput(backfillListQuery, request.query);
    const after = decodeCursor(z.strictObject({ createdAt: z.string(), id: z.string() }), cursor);
    const found = await store.backfills.list(
      { ...(pipeline === undefined ? {} : { pipeline }), ...(status === undefined ? {} : { status }) },
      { limit: limit + 1, ...(after === undefined ? {} : { after }) },
    );
    const { items, next } = page(found, limit, ({ createdAt, id }) => ({ createdAt, id }));
    response.json({ items: items.map((record) => presentBackfill(record)), next });
  });

  router.get("/:id", async (request, response) => {
    const record = await existing(request);
    response.json({ ...presentBackfill(record), actions: (await store.backfills.actionsOf(record.id)).map(presentAction) });
  });

  router.get("/:id/partitions", async (request, response) => {
    const { limit, cursor, status } = parseInput(partitionListQuery, request.query);
    const after = decodeCursor(z.int(), cursor) ?? -1;
    const record = await existing(request);
    const plan = planOf(record.cut);
    const found: (Partition & { readonly status: string })[] = [];
    for (let partition = after + 1; partition < record.state.count && found.length <= limit; partition += 1) {
      const is = partitionStatus(record.state, partition);
      const interval = status === undefined || status.includes(is) ? partitionAt(plan, partition) : undefined;
      if (interval !== undefined) found.push({ ...interval, status: is });
    }
    const { items, next } = page(found, limit, ({ partition }) => partition);
    const runs = await store.backfills.runsOf(
      record.id,
      items.map(({ partition }) => partition),
    );
    const byPartition = new Map(runs.map((run) => [run.partition, run]));
    response.json({
      items: items.map((item) => {
        const run = byPartition.get(item.partition);
        return { ...item, run: run?.id ?? null, run_status: run?.status ?? null };
      }),
      next,
    });
  });

  router.patch("/:id", async (request, response) => {
    const body = parseInput(backfillChanges, jsonBody(request));
    const { stop_after_failures: stopAfterFailures, concurrency, priority } = body;
    await act(request, response, body, {
      action: "change",
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(priority === undefined ? {} : { priority }),
      ...(stopAfterFailures === undefined ? {} : { stopAfterFailures }),
    });
  });

  for (const action of ["pause", "resume"] as const) {
    router.post(`/:id/${action}`, async (request, response) => {
      await act(request, response, parseInput(pauseBody, jsonBody(request)), { action });
    });
  }

  router.post("/:id/cancel", async (request, response) => {
    const body = parseInput(backfillCancelBody, jsonBody(request));
    await act(request, response, body, { action: "cancel", runs: body.runs });
  });

  router.post("/:id/skip", async (request, response) => {
    const body = parseInput(backfillSkipBody, jsonBody(request));
    await act(request, response, body, ({ cut }) => ({ action: "skip", partitions: chosenPartitions(body, planOf(cut)) ?? [] }));
  });

  router.post("/:id/retry", async (request, response) => {
    const body = parseInput(backfillRetryBody, jsonBody(request));
    await act(request, response, body, ({ cut }) => {
      const partitions = chosenPartitions(body, planOf(cut));
      return { action: "retry", ...(partitions === undefined ? {} : { partitions }) };
    });
  });

  return router;
};

/** An action that was carried out under this key; throws IDEMPOTENCY_KEY_REUSED where it was another. */
const isRepeated = ({ keys = [] }: BackfillState, keyed: Keyed | undefined): boolean => {
  const use = keyUse(keys, keyed ?? {});
  if (use === "other") throw new DownbeatError("IDEMPOTENCY_KEY_REUSED", keyReused(keyed?.key));
  return use === "same";
};

/** One that has ended goes on: the row comes first, the workflow second, as at its beginning. */
const beginAgain = async (
  { store, orchestrator }: ApiDeps,
  { id, pipeline, state: before, seq: last }: BackfillRecord,
  control: BackfillControl,
  actor: { readonly by: string; readonly why?: string },
  keyed: Keyed | undefined,
): Promise<BackfillState> => {
  const state = controlBackfill(before, control, keyed);
  const seq = last + 1;
  const action = { number: state.actions, action: control.action, ...actor, at: new Date().toISOString() };
  if (!(await store.backfills.record({ id, seq, state, actions: [action] }))) {
    // The same request, sent twice at once.
    const now = await store.backfills.find(id);
    if (now !== undefined && isRepeated(now.state, keyed)) return now.state;
    throw new DownbeatError("CONFLICT", `somebody else has acted on backfill ${id} meanwhile; look at it again`);
  }
  await orchestrator.backfills.startAgain({ id, pipeline, state, seq });
  return state;
};
