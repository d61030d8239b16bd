// /v1/backfills: dry runs, what is refused, pages, and who did what.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { endPartition, openPartitions } from "../../core/backfill.ts";
import type { Cut } from "../../core/partitions.ts";
import { planOf } from "../../api/backfill-request.ts";
import { reconcileBackfills } from "../../api/reconcile-backfills.ts";
import { definitionOf, useApi } from "./kit.ts";

const api = useApi();

beforeAll(async () => {
  await api().send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "localhost" } });
  await api().send(
    "PUT",
    "/v1/pipelines/daily",
    definitionOf(
      "daily",
      `params: { type: object, properties: { region: { type: string } } }
schedules:
  - { name: nightly, cron: "0 3 * * *", timezone: Europe/Berlin, params: { region: north } }
  - { name: by_hour, cron: "0 * * * *", timezone: Europe/Berlin }
`,
    ),
  );
});
beforeEach(() => {
  api().orchestrator.failure = undefined;
});

const URL = "/v1/pipelines/daily/backfills";
const RANGE = { from: "2026-01-01", to: "2026-01-11", every: "day" };
interface View {
  readonly id: string;
  readonly [key: string]: unknown;
}
interface Page {
  readonly items: readonly Readonly<Record<string, unknown>>[];
  readonly next: string | null;
}
const begin = async (body: object = {}): Promise<View> => (await api().send("POST", URL, { ...RANGE, ...body })).body as View;

/** What a worker would report: so many have begun, and one of them has failed. */
const report = async (id: string): Promise<void> => {
  const { store } = api();
  const before = await store.backfills.find(id);
  if (before === undefined) throw new Error("there is no such backfill");
  const state = endPartition(openPartitions(before.state, id), `${id}.1`, false);
  await store.backfills.record({ id, seq: before.seq + 1, state, actions: [] });
};

describe("a dry run", () => {
  it("tells what would run and stores nothing", async () => {
    const { status, body } = await api().send("POST", URL, {
      ...RANGE,
      to: "2026-01-13",
      order: "newest-first",
      concurrency: 5,
      dry_run: true,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ partitions: 12, existing: 0, to_run: 12, mean_seconds: null, estimated_seconds: null });
    expect(body).toMatchObject({
      first: [{ partition: 11, start: "2026-01-12T00:00:00+00:00" }, {}, {}],
      last: [{}, {}, { partition: 0 }],
    });
    expect((await api().send("GET", "/v1/backfills")).body).toEqual({ items: [], next: null });
    expect(api().orchestrator.backfillsStarted).toEqual([]);
  });

  it("leaves out what has succeeded, also where a run's interval is written in another zone", async () => {
    const { store } = api();
    const version = await store.definitions.find("daily");
    for (const [id, start, end] of [
      ["one", "2026-01-03T01:00:00+01:00", "2026-01-04T01:00:00+01:00"],
      ["two", "2026-01-05T00:00:00+00:00", "2026-01-05T12:00:00+00:00"],
    ] as const) {
      const planHash = version?.hash ?? "";
      await store.runs.create({
        id,
        pipeline: "daily",
        version: 1,
        planHash,
        origin: id,
        trigger: "x",
        params: {},
        intervalStart: start,
        intervalEnd: end,
      });
      await store.runs.repair(id, "succeeded");
    }
    const { body } = await api().send("POST", URL, { ...RANGE, dry_run: true });
    expect(body).toMatchObject({ partitions: 10, existing: 1, to_run: 9 });
    const rerun = await api().send("POST", URL, { ...RANGE, dry_run: true, existing: "rerun" });
    expect(rerun.body).toMatchObject({ existing: 1, to_run: 10 });
  });

  it("goes by a schedule's intervals, where clocks change too, with its params", async () => {
    const { body } = await api().send("POST", URL, { from: "2026-03-27", to: "2026-03-31", schedule: "nightly", dry_run: true });
    expect(body).toMatchObject({
      partitions: 3,
      first: [{ start: "2026-03-27T03:00:00+01:00", end: "2026-03-28T03:00:00+01:00" }, { end: "2026-03-29T03:00:00+02:00" }, {}],
    });
  });

  it.each([
    { from: "2014-01-01", to: "2025-05-29T16:00:00Z", every: "1h" },
    { from: "2014-01-01", to: "2025-05-29T17:00:00+02:00", every: undefined, schedule: "by_hour" },
  ])("plans and lists a hundred thousand partitions, of %j", async (body) => {
    const { id } = await begin(body);
    const found = (await api().send("GET", `/v1/backfills/${id}/partitions?limit=2&cursor=${Buffer.from("99996").toString("base64url")}`))
      .body as Page;
    expect(found.items).toMatchObject([{ partition: 99_997 }, { partition: 99_998, status: "pending", run: null }]);
    expect(found.next).not.toBeNull();
  });

  it("is cut once with the backfill that follows it", async () => {
    const { id } = await begin({ every: undefined, schedule: "nightly" });
    const { cut } = (await api().store.backfills.find(id)) ?? (undefined as never);
    expect(planOf(cut)).toBe(planOf(Object.fromEntries(Object.entries(cut).toReversed()) as unknown as Cut));
    expect(planOf({ ...cut, to: cut.to + 86_400_000 })).not.toBe(planOf(cut));
  });
});

describe("a backfill", () => {
  it.each([
    [{ every: undefined }, "every"],
    [{ schedule: "nightly" }, "every"],
    [{ schedule: "nightly", every: undefined, timezone: "UTC" }, "timezone"],
    [{ from: "soon" }, "write a date, or ISO 8601"],
    [{ to: "2026-01-01" }, "range is empty"],
    [{ to: "2099-01-01" }, "lies in the future"],
    [{ every: "1s", from: "2020-01-01" }, "more than 100000"],
    [{ timezone: "Mars/Base" }, "Mars/Base"],
    [{ concurrency: 0 }, "concurrency"],
    [{ priority: 6 }, "priority"],
    [{ schedule: "nightly", every: undefined, from: "2026-01-01T04:00:00Z", to: "2026-01-01T05:00:00Z" }, "no data interval"],
  ])("is refused for %j", async (body, message) => {
    const { status, text } = await api().send("POST", URL, { ...RANGE, ...body });
    expect(status).toBe(400);
    expect(text).toContain(message);
  });

  it("is refused for a pipeline, version, schedule or params that do not exist", async () => {
    expect((await api().send("POST", "/v1/pipelines/none/backfills", RANGE)).status).toBe(404);
    expect((await api().send("POST", URL, { ...RANGE, version: 9 })).status).toBe(404);
    expect((await api().send("POST", URL, { ...RANGE, every: undefined, schedule: "hourly" })).status).toBe(404);
    expect((await api().send("POST", URL, { ...RANGE, params: { region: 1 } })).status).toBe(422);
  });

  it("is the same for the same key, and started when it could only be written down", async () => {
    const { orchestrator, send } = api();
    const before = orchestrator.backfillsStarted.length;
    orchestrator.failure = new Error("away");
    expect((await send("POST", URL, RANGE, { "idempotency-key": "k" })).status).toBe(500);
    orchestrator.failure = undefined;
    const { status, body } = await send("POST", URL, RANGE, { "idempotency-key": "k" });
    expect(status).toBe(202);
    expect(orchestrator.backfillsStarted.slice(before)).toMatchObject([{ id: (body as View).id, seq: 0 }]);
    const other = await send("POST", URL, { ...RANGE, concurrency: 9 }, { "idempotency-key": "k" });
    expect(other).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } });
  });

  it("shows its window, its counts and its partitions by status and page", async () => {
    const { id } = await begin({ concurrency: 3 });
    await report(id);
    const { body } = await api().send("GET", `/v1/backfills/${id}`);
    expect(body).toMatchObject({
      status: "running",
      counts: { pending: 7, running: 2, failed: 1 },
      progress: 1 - 9 / 10,
      window: [{ partition: 0, run: `${id}.0` }, { partition: 2 }],
      actions: [{ action: "create", by: "unnamed" }],
    });
    const first = (await api().send("GET", `/v1/backfills/${id}/partitions?status=pending,failed&limit=2`)).body as Page;
    expect(first.items).toMatchObject([
      { partition: 1, status: "failed" },
      { partition: 3, status: "pending" },
    ]);
    const second = (await api().send("GET", `/v1/backfills/${id}/partitions?status=pending,failed&limit=500&cursor=${first.next}`))
      .body as Page;
    expect(second.items).toHaveLength(6);
    expect(second.next).toBeNull();
    expect((await api().send("GET", `/v1/backfills/${id}/partitions?status=odd`)).status).toBe(400);
  });

  it("is listed by page, pipeline and status", async () => {
    const page = (await api().send("GET", "/v1/backfills?limit=1&pipeline=daily&status=running,paused")).body as Page;
    expect(page.items).toHaveLength(1);
    const next = (await api().send("GET", `/v1/backfills?limit=1&cursor=${page.next}`)).body as Page;
    expect(next.items[0]?.["id"]).not.toBe(page.items[0]?.["id"]);
    expect((await api().send("GET", "/v1/backfills?status=failed")).body).toMatchObject({ items: [] });
    expect((await api().send("GET", "/v1/backfills/none")).status).toBe(404);
  });

  it("takes actions, and refuses those that its state does not allow", async () => {
    const { id } = await begin();
    const act = async (action: string, body: object = {}): Promise<{ status: number; body: unknown }> =>
      api().send("POST", `/v1/backfills/${id}/${action}`, body);
    expect(await act("pause")).toMatchObject({ status: 200, body: { status: "paused" } });
    expect(await act("resume")).toMatchObject({ status: 409, body: { code: "ACTION_REFUSED" } });
    expect(await act("retry")).toMatchObject({ status: 409 });
    expect(await act("skip", { from: "2026-01-03", to: "2026-01-05" })).toMatchObject({ status: 200, body: { counts: { skipped: 2 } } });
    expect(await act("skip", { partitions: [10] })).toMatchObject({ status: 400 });
    expect(await act("skip", { from: "2027-01-03", to: "2027-01-05" })).toMatchObject({ status: 400 });
    expect(await act("skip")).toMatchObject({ status: 400 });
    expect(await act("cancel", { runs: true })).toMatchObject({ status: 200, body: { status: "cancelling" } });
    expect(await api().send("PATCH", `/v1/backfills/${id}`, { by: "ada" })).toMatchObject({ status: 400 });
    const changed = await api().send("PATCH", `/v1/backfills/${id}`, { concurrency: 7, stop_after_failures: null });
    expect(changed).toMatchObject({ status: 200, body: { concurrency: 7, stop_after_failures: null } });
  });

  it("acts once under one key, also when it has ended, and after it has gone on", async () => {
    const { orchestrator, store, send } = api();
    const { id } = await begin({ to: "2026-01-03", concurrency: 2 });
    const find = async () => (await store.backfills.find(id)) ?? (undefined as never);
    const open = openPartitions((await find()).state, id);
    const state = { ...endPartition(endPartition(open, `${id}.0`, true), `${id}.1`, false), status: "failed" as const };
    await store.backfills.record({ id, seq: 4, state, actions: [] });
    const retry = (key: string) => send("POST", `/v1/backfills/${id}/retry`, { by: "ada" }, { "idempotency-key": key });
    const before = orchestrator.backfillsStarted.length;
    const begun = { status: 200, body: { status: "running", counts: { succeeded: 1, pending: 1 } } };
    for (const answer of await Promise.all([retry("again"), retry("again")])) expect(answer).toMatchObject(begun);
    expect(await retry("again")).toMatchObject(begun);
    const { seq, state: going } = await find();
    const endedAgain = { ...endPartition(openPartitions(going, id), `${id}.1.1`, false), status: "failed" as const };
    await store.backfills.record({ id, seq: seq + 1, state: endedAgain, actions: [] });
    // A later failure is not what was asked for again.
    expect(await retry("again")).toMatchObject({ status: 200, body: { status: "failed", counts: { failed: 1 } } });
    expect(orchestrator.backfillsStarted).toHaveLength(before + 1);
    expect((await send("GET", `/v1/backfills/${id}`)).body).toMatchObject({ actions: [{ action: "create" }, { action: "retry" }] });
    const reused = { status: 409, body: { code: "IDEMPOTENCY_KEY_REUSED" } };
    const others = [
      ["retry", { by: "eve" }],
      ["pause", { by: "ada" }],
    ] as const;
    for (const [action, body] of others)
      expect(await send("POST", `/v1/backfills/${id}/${action}`, body, { "idempotency-key": "again" })).toMatchObject(reused);
    expect(await retry("another")).toMatchObject(begun);
  });

  it("goes on when what failed is asked for again after its end, with who did it", async () => {
    const { orchestrator, store, send } = api();
    const { id } = await begin({ to: "2026-01-03", concurrency: 2 });
    const record = await store.backfills.find(id);
    const open = openPartitions(record?.state ?? (undefined as never), id);
    const state = { ...endPartition(endPartition(open, `${id}.0`, true), `${id}.1`, false), status: "failed" as const };
    await store.backfills.record({ id, seq: 4, state, actions: [] });
    expect(await send("POST", `/v1/backfills/${id}/pause`)).toMatchObject({ status: 409 });
    const again = await send("POST", `/v1/backfills/${id}/retry`, { by: "ada", why: "the source is back" });
    expect(again).toMatchObject({ status: 200, body: { status: "running", counts: { succeeded: 1, pending: 1 } } });
    expect(orchestrator.backfillsStarted.at(-1)).toMatchObject({ id, seq: 5, state: { again: [[1, 1]], round: 1 } });
    const { body } = await send("GET", `/v1/backfills/${id}`);
    expect(body).toMatchObject({
      actions: [{ action: "create" }, { action: "retry", by: "ada", why: "the source is back" }],
      finished_at: null,
    });
    // Temporal lost it: the reconciler starts it from its row.
    orchestrator.backfillStatuses.delete(id);
    const before = orchestrator.backfillsStarted.length;
    await reconcileBackfills(api().deps, 0);
    expect(orchestrator.backfillsStarted.slice(before).map((one) => one.id)).toContain(id);
  });
});
