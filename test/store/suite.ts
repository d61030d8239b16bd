// What the store promises, on whichever database it stands: called by the PGlite and by the PostgreSQL tests.

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CompiledPlan } from "../../core/plan.ts";
import type { SchedulePlan } from "../../core/schedule.ts";
import type { RunChanges, RunStatus, TaskChange } from "../../core/run-changes.ts";
import { runFacts } from "../../store/run-facts.ts";
import { isPaused } from "../../store/schedules.ts";
import type { RunRecord } from "../../store/runs.ts";
import type { Store } from "../../store/open-store.ts";

export const SECRET_KEY = new Uint8Array(32).fill(7);

const unique = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;

const planOf = (...connections: readonly string[]): CompiledPlan => ({
  plan: { failurePolicy: "continue", policies: [], tasks: [] },
  configs: { a: { z: 1, b: 2 } },
  connections,
});

const version = (pipeline: string, hash: string, plan = planOf()) => ({
  pipeline,
  hash: `${pipeline}/${hash}`,
  definition: { owner: "us", description: `content ${hash}`, name: pipeline },
  source: `name: ${pipeline} # ${hash}`,
  format: "yaml" as const,
  plan,
});

export const describeStore = (title: string, open: () => Promise<Store>): void => {
  let store: Store;
  const caseOf = (name: string, run: () => Promise<void>): void => {
    it(`${title}: ${name}`, run);
  };
  const newRun = async (pipeline = unique("p"), extra: { idempotencyKey?: string; requestHash?: string } = {}): Promise<RunRecord> => {
    const id = randomUUID();
    const { run } = await store.runs.create({
      id,
      pipeline,
      version: 1,
      planHash: "h",
      origin: id,
      trigger: "http",
      params: { a: 1 },
      ...extra,
    });
    return run;
  };
  const attemptsOf = async (id: string) => (await store.runs.findWhole(id))?.attempts;
  const report = (runId: string, seq: number, rest: Partial<RunChanges> = {}): RunChanges => ({
    runId,
    seq,
    status: "running",
    startedAt: "2026-01-02T03:04:05.678Z",
    tasks: [],
    attempts: [],
    ...rest,
  });

  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  describe(title, () => {
    caseOf("a missed deadline is kept, and counted by the first report that says so", async () => {
      const run = await newRun();
      const late: TaskChange = { taskId: "a", status: "running", attempts: 1, deadlineMissedAt: "2026-01-02T04:00:00.000Z" };
      expect(await store.runs.apply(report(run.id, 1, { tasks: [{ taskId: "a", status: "running", attempts: 1 }] }))).toMatchObject({
        missed: 0,
      });
      await store.runs.show([report(run.id, 1, { tasks: [late] })]);
      expect(await store.runs.apply(report(run.id, 2, { tasks: [late] }))).toMatchObject({ missed: 1 });
      expect(await store.runs.apply(report(run.id, 2, { tasks: [late] }))).toMatchObject({ missed: 0 });
      expect(await store.runs.apply(report(run.id, 3, { tasks: [{ ...late, status: "waiting" }] }))).toMatchObject({ missed: 0 });
      await store.runs.apply(report(run.id, 4, { tasks: [{ taskId: "a", status: "succeeded", attempts: 1 }] }));
      const [kept] = (await store.runs.findWhole(run.id))?.tasks ?? [];
      expect([kept?.status, new Date(kept?.deadlineMissedAt ?? 0).toISOString()]).toEqual(["succeeded", late.deadlineMissedAt]);
    });

    caseOf("an asset has each update once, and its newest one as its own, in whatever order reports come", async () => {
      const [older, newer] = [await newRun("maker-one"), await newRun("maker-two")];
      const [name, other] = [unique("warehouse/t"), unique("warehouse/t")];
      const made = (taskId: string, finishedAt: string, rows: number, assets = [name]): TaskChange => ({
        taskId,
        status: "succeeded",
        attempts: 1,
        finishedAt,
        metrics: { rows },
        assets,
      });
      const late = report(newer.id, 1, { tasks: [made("a", "2026-01-02T00:00:00.000Z", 7)] });
      await store.runs.apply(late);
      await store.runs.apply(late);
      // The same tasks again, as a report repeats them when the first try was cut off.
      await store.runs.apply({ ...late, seq: 2 });
      const twice = [made("b", "2026-01-01T00:00:00.000Z", 1, [name, other]), made("c", "2026-01-01T12:00:00.000Z", 2)];
      await store.runs.apply(report(older.id, 1, { tasks: [...twice, { taskId: "d", status: "running", attempts: 1 }] }));
      expect(await store.assets.find(name)).toMatchObject({ runId: newer.id, taskId: "a", pipeline: "maker-two", rows: 7, updates: 3 });
      expect(await store.assets.find(other)).toMatchObject({ runId: older.id, pipeline: "maker-one", rows: 1, updates: 1 });
      const updates = await store.assets.updatesOf(name, { limit: 10 });
      expect(updates.map(({ taskId }) => taskId)).toEqual(["a", "c", "b"]);
      const [first] = await store.assets.updatesOf(name, { limit: 1 });
      const after = first === undefined ? undefined : { at: first.at, runId: first.runId, taskId: first.taskId };
      expect(await store.assets.updatesOf(name, { limit: 10, ...(after === undefined ? {} : { after }) })).toHaveLength(2);
      const named = await store.assets.list({ prefix: name }, { limit: 10 });
      expect(named.map((asset) => asset.name)).toEqual([name]);
      expect(await store.assets.list({ prefix: name }, { limit: 10, after: name })).toEqual([]);
    });
    caseOf("of an action that was reported under one number twice, the newer report is right; an older one changes nothing", async () => {
      const { id } = await newRun();
      const paused = { number: 1, action: "pause", by: "anna", at: "2026-01-01T00:00:00.000Z" };
      await store.runs.apply(report(id, 5, { actions: [paused] }));
      const resumed = { ...paused, action: "resume", by: "ben", why: "it is mended" };
      await store.runs.apply(report(id, 9, { actions: [resumed, { ...paused, number: 2 }] }));
      await store.runs.apply(report(id, 5, { actions: [paused] }));
      const whole = await store.runs.findWhole(id);
      expect(whole?.actions.map(({ number, action, by, why }) => [number, action, by, why])).toEqual([
        [1, "resume", "ben", "it is mended"],
        [2, "pause", "anna", null],
      ]);
    });
    caseOf("a definition saved twice is one version; other content is the next one, and tells what it followed", async () => {
      const name = unique("p");
      expect(await store.definitions.save(version(name, "one"))).toEqual({ version: 1, created: true, previous: undefined });
      expect(await store.definitions.save(version(name, "one"))).toMatchObject({ version: 1, created: false });
      expect(await store.definitions.save(version(name, "two"))).toMatchObject({
        version: 2,
        created: true,
        previous: { description: "content one" },
      });
      // Back to the first content is a new version: history is never rewritten.
      expect(await store.definitions.save(version(name, "one"))).toMatchObject({ version: 3, created: true });
      expect(await store.definitions.find(name)).toMatchObject({ version: 3, source: `name: ${name} # one`, format: "yaml" });
      expect(await store.definitions.find(name, 2)).toMatchObject({ version: 2, hash: `${name}/two` });
      expect(await store.definitions.find(name, 4)).toBeUndefined();
      expect((await store.definitions.listVersions(name, { limit: 2 })).map((entry) => entry.version)).toEqual([3, 2]);
      expect((await store.definitions.listVersions(name, { limit: 2, before: 2 })).map((entry) => entry.version)).toEqual([1]);
    });

    caseOf("a definition's keys keep the order of their author", async () => {
      const name = unique("p");
      await store.definitions.save(version(name, "one"));
      expect(Object.keys((await store.definitions.find(name))?.definition ?? {})).toEqual(["owner", "description", "name"]);
      expect(JSON.stringify((await store.definitions.findPlan(`${name}/one`))?.configs)).toBe('{"a":{"z":1,"b":2}}');
    });

    caseOf("saves of one pipeline at once get versions of their own", async () => {
      const name = unique("p");
      const saved = await Promise.all(["a", "b", "c", "d", "e"].map((hash) => store.definitions.save(version(name, hash))));
      expect(saved.map((result) => result.version).toSorted()).toEqual([1, 2, 3, 4, 5]);
    });

    caseOf("pipelines are listed by name, page by page", async () => {
      const prefix = unique("list");
      for (const suffix of ["c", "a", "b"]) await store.definitions.save(version(`${prefix}-${suffix}`, "x"));
      const names = async (after: string) => (await store.definitions.list({ limit: 2, after })).map((entry) => entry.name);
      expect(await names(prefix)).toEqual([`${prefix}-a`, `${prefix}-b`]);
      expect((await names(`${prefix}-b`))[0]).toBe(`${prefix}-c`);
      expect((await store.definitions.list({ limit: 1, after: prefix }))[0]).toMatchObject({ owner: "us", description: "content x" });
    });

    caseOf("only the latest version says which connections a pipeline uses", async () => {
      const name = unique("p");
      const [before, now] = [unique("c"), unique("c")];
      await store.definitions.save(version(name, "one", planOf(before)));
      await store.definitions.save(version(name, "two", planOf(now)));
      expect(await store.definitions.usersOf(now)).toEqual([name]);
      expect(await store.definitions.usersOf(before)).toEqual([]);
    });

    caseOf(
      "a version brings its schedules: kept, changed and dropped by name; by hand holds until the definition changes its mind",
      async () => {
        const pipeline = unique("p");
        const times = { calendars: [], intervals: [{ everyMs: 60_000, offsetMs: 0 }], exclude: [], timezone: "UTC" };
        const schedule = (name: string, paused = false): SchedulePlan => ({
          name,
          summary: "every 1m",
          times,
          overlap: "skip",
          catchUpMs: 600_000,
          paused,
          params: {},
        });
        const save = (hash: string, ...schedules: readonly SchedulePlan[]) =>
          store.definitions.save(version(pipeline, hash, { ...planOf(), schedules }));
        const listed = async () =>
          (await store.schedules.list({ pipeline, limit: 10 })).map(
            (row) => `${row.name} v${row.version} ${isPaused(row) ? "paused" : "active"}`,
          );
        await save("one", schedule("a"), schedule("b"));
        expect(await listed()).toEqual(["a v1 active", "b v1 active"]);
        const byHand = { paused: true, by: "ana", why: "stocktaking", at: "2026-01-01T00:00:00.000Z" };
        expect(await store.schedules.setByHand({ pipeline, name: "a" }, byHand)).toMatchObject({ name: "a", byHand });
        expect(await store.schedules.setByHand({ pipeline, name: "absent" }, byHand)).toBeUndefined();
        await save("two", schedule("a"), schedule("c"));
        expect(await listed()).toEqual(["a v2 paused", "c v2 active"]);
        expect(await store.schedules.find({ pipeline, name: "a" })).toMatchObject({
          planHash: `${pipeline}/two`,
          byHand,
          plan: schedule("a"),
        });
        await save("three", schedule("a", true));
        expect(await store.schedules.find({ pipeline, name: "a" })).toMatchObject({ byHand: null, plan: { paused: true } });
        await store.definitions.save(version(pipeline, "four"));
        expect(await listed()).toEqual([]);
        // Pages go on after pipeline and name.
        await save("five", schedule("a"), schedule("b"), schedule("c"));
        const next = await store.schedules.list({ pipeline, limit: 2, after: { pipeline, name: "a" } });
        expect(next.map(({ name }) => name)).toEqual(["b", "c"]);
      },
    );

    caseOf("a scheduled run keeps its interval as the clocks of its zone showed it", async () => {
      const id = randomUUID();
      const interval = { intervalStart: "2026-03-28T02:30:00+01:00", intervalEnd: "2026-03-30T02:30:00+02:00" };
      const input = {
        id,
        pipeline: unique("p"),
        version: 1,
        planHash: "h",
        origin: id,
        trigger: "schedule",
        schedule: "daily",
        params: {},
        ...interval,
      };
      expect((await store.runs.create(input)).created).toBe(true);
      const again = await store.runs.create(input);
      expect(again).toMatchObject({ created: false, run: { schedule: "daily", ...interval } });
      expect(runFacts(again.run).interval).toEqual({ start: interval.intervalStart, end: interval.intervalEnd });
      expect(runFacts(await newRun())).not.toHaveProperty("interval");
    });

    caseOf("secrets of a connection are sealed in the store and opened for workers", async () => {
      const name = unique("c");
      const config = { host: "h", password: "hunter2", token: { env: "TOKEN" } };
      const save = { name, kind: "k", config, secretKeys: ["password", "token"] };
      expect(await store.connections.save(save)).toEqual({ created: true });
      const stored = await store.connections.find(name);
      expect(JSON.stringify(stored)).not.toContain("hunter2");
      expect(stored?.config).toMatchObject({
        host: "h",
        password: { sealed: expect.stringMatching(/^v1:/) as string },
        token: { env: "TOKEN" },
      });
      expect(await store.connections.findOpened(name)).toEqual({ name, kind: "k", config });
      expect(await store.connections.save({ ...save, config: { host: "other" } })).toEqual({ created: false });
      expect(await store.connections.findOpened(name)).toMatchObject({ config: { host: "other" } });
      expect(await store.connections.save({ ...save, onlyNew: true })).toEqual({ created: false });
      expect(await store.connections.findOpened(name)).toMatchObject({ config: { host: "other" } });
      expect((await store.connections.kinds())[name]).toBe("k");
      expect(await store.connections.remove(name)).toBe(true);
      expect(await store.connections.remove(name)).toBe(false);
      expect(await store.connections.find(name)).toBeUndefined();
    });

    caseOf("a secret that was sealed for another connection does not open", async () => {
      const [mine, other] = [unique("c"), unique("c")];
      await store.connections.save({ name: mine, kind: "k", config: { password: "p" }, secretKeys: ["password"] });
      const sealed = (await store.connections.find(mine))?.config["password"];
      await store.connections.save({ name: other, kind: "k", config: { password: sealed ?? null }, secretKeys: ["password"] });
      await expect(store.connections.findOpened(other)).rejects.toMatchObject({ code: "SECRET_UNRESOLVED" });
    });

    caseOf("an idempotency key gives one run, also to requests that race, and refuses another request", async () => {
      const pipeline = unique("p");
      const key = { idempotencyKey: "k1", requestHash: "r1" };
      const raced = await Promise.all(Array.from({ length: 8 }, () => newRun(pipeline, key)));
      expect(new Set(raced.map((run) => run.id)).size).toBe(1);
      expect(raced[0]?.status).toBe("queued");
      await expect(newRun(pipeline, { idempotencyKey: "k1", requestHash: "r2" })).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED" });
      // The key belongs to its pipeline alone, and runs without one are all their own.
      expect((await newRun(unique("p"), key)).id).not.toBe(raced[0]?.id);
      expect((await newRun(pipeline)).id).not.toBe((await newRun(pipeline)).id);
    });

    caseOf("a report is applied once, and an older one changes nothing", async () => {
      const { id } = await newRun();
      const task = (status: TaskChange["status"]): TaskChange => ({
        taskId: "t",
        status,
        attempts: 1,
        output: { rows: 3 },
        metrics: { rows: 3 },
        startedAt: "2026-01-02T03:04:06.000Z",
      });
      const attempt = { taskId: "t", attempt: 1, startedAt: "2026-01-02T03:04:06.000Z" } as const;
      const second = report(id, 2, {
        status: "failed",
        finishedAt: "2026-01-02T03:05:05.000Z",
        error: { code: "SQL_FAILED", message: "no" },
        tasks: [task("failed")],
        attempts: [
          { ...attempt, status: "lost" },
          {
            ...attempt,
            status: "failed",
            worker: "w",
            lostAttempts: 2,
            finishedAt: "2026-01-02T03:05:00.000Z",
            error: { code: "SQL_FAILED", message: "no" },
          },
        ],
      });
      await store.runs.apply(report(id, 1, { tasks: [task("running")], attempts: [{ ...attempt, status: "running" }] }));
      expect((await store.runs.find(id))?.status).toBe("running");
      await store.runs.apply(second);
      const seen = async () => [await store.runs.find(id), await store.runs.tasksOf(id), await attemptsOf(id)];
      const once = await seen();
      expect(once).toMatchObject([
        { status: "failed", seq: 2, error: { code: "SQL_FAILED" } },
        [{ taskId: "t", status: "failed", output: { rows: 3 }, metrics: { rows: 3 }, error: null }],
        [{ attempt: 1, status: "failed", worker: "w", lostAttempts: 2 }],
      ]);
      await store.runs.apply(second);
      await store.runs.apply(report(id, 1, { tasks: [task("running")] }));
      expect(await seen()).toEqual(once);
      // A report whose answer was lost is sent again under the next number: nothing may count twice.
      await store.runs.apply({ ...second, seq: 3 });
      expect(await attemptsOf(id)).toEqual(once[2]);
    });

    caseOf("what is shown of several runs is seen at once, keeps no report out, and changes nothing that has ended", async () => {
      const [one, two, ended] = [await newRun(), await newRun(), await newRun()];
      const shown = (runId: string, seq: number, status: TaskChange["status"]): RunChanges =>
        report(runId, seq, {
          tasks: [{ taskId: "t", status, attempts: 1 }],
          attempts: [{ taskId: "t", attempt: 1, status: "running", startedAt: "2026-01-02T03:04:05.678Z" }],
        });
      await store.runs.apply(report(two.id, 1));
      await store.runs.repair(ended.id, "failed");
      await store.runs.show([shown(one.id, 0, "running"), shown(two.id, 0, "running"), shown(ended.id, 0, "running")]);
      const statuses = async (id: string) => [
        (await store.runs.find(id))?.status,
        (await store.runs.tasksOf(id)).map(({ status }) => status),
      ];
      expect(await statuses(one.id)).toEqual(["running", ["running"]]);
      // It was shown before the report came.
      expect(await statuses(two.id)).toEqual(["running", []]);
      expect(await statuses(ended.id)).toEqual(["failed", []]);
      await store.runs.show([shown(one.id, 1, "succeeded")]);
      expect(await store.runs.find(one.id)).toMatchObject({ seq: 0, startedAt: expect.anything() });
      await store.runs.apply({ ...shown(one.id, 1, "failed"), status: "failed" });
      await store.runs.show([shown(one.id, 1, "running")]);
      expect(await statuses(one.id)).toEqual(["failed", ["failed"]]);
    });

    caseOf("a report without times and errors keeps those that are known", async () => {
      const { id } = await newRun();
      await store.runs.apply(report(id, 1, { error: { code: "SQL_FAILED", message: "no" } }));
      const { startedAt: _, ...later } = report(id, 2);
      await store.runs.apply(later);
      const run = await store.runs.find(id);
      expect(run?.error).toEqual({ code: "SQL_FAILED", message: "no" });
      expect(new Date(run?.startedAt ?? 0).toISOString()).toBe("2026-01-02T03:04:05.678Z");
    });

    caseOf("a report of a run that is not in the store is dropped", async () => {
      const id = randomUUID();
      await store.runs.apply(report(id, 1, { tasks: [{ taskId: "t", status: "running", attempts: 1 }] }));
      expect(await store.runs.find(id)).toBeUndefined();
      expect(await store.runs.tasksOf(id)).toEqual([]);
    });

    caseOf("a thousand tasks travel in one report", async () => {
      const { id } = await newRun();
      const names = Array.from({ length: 1_002 }, (_, index) => `t${index}`);
      await store.runs.apply(
        report(id, 1, {
          tasks: names.map((taskId) => ({ taskId, status: "succeeded", attempts: 1, output: { text: "quote ' and \\ and \u00e9" } })),
          attempts: names.map((taskId) => ({ taskId, attempt: 1, status: "succeeded", startedAt: "2026-01-02T03:04:06.000Z" })),
        }),
      );
      const tasks = await store.runs.tasksOf(id);
      expect(tasks).toHaveLength(1_002);
      expect(tasks[0]?.output).toEqual({ text: "quote ' and \\ and \u00e9" });
      expect(await attemptsOf(id)).toHaveLength(1_002);
    });

    caseOf("runs are listed newest first, filtered, and paged without gaps", async () => {
      const pipeline = unique("p");
      const created: RunRecord[] = [];
      for (let index = 0; index < 5; index += 1) created.push(await newRun(pipeline));
      // Clocks may be coarse: runs of the same moment stand in the order of their ids.
      const rank = ({ createdAt, id }: RunRecord): string => `${new Date(createdAt).toISOString()}${createdAt}${id}`;
      const made = created.toSorted((left, right) => (rank(left) < rank(right) ? 1 : -1)).map((run) => run.id);
      await store.runs.apply(report(made[0] as string, 1, { status: "succeeded" }));
      const paged: string[] = [];
      let after: RunRecord | undefined;
      do {
        const page = await store.runs.list({ pipeline }, { limit: 2, ...(after === undefined ? {} : { after }) });
        paged.push(...page.map((run) => run.id));
        after = page.at(-1);
      } while (after !== undefined);
      expect(paged).toEqual(made);
      const ids = async (filter: Parameters<Store["runs"]["list"]>[0]) =>
        (await store.runs.list({ pipeline, ...filter }, { limit: 10 })).map((run) => run.id);
      expect(await ids({ status: ["succeeded", "failed"] })).toEqual([made[0]]);
      expect(await ids({ trigger: "schedule" })).toEqual([]);
      const third = (await store.runs.find(made[2] as string)) as RunRecord;
      const notBefore = created.filter((run) => rank(run).slice(0, -36) >= rank(third).slice(0, -36)).map((run) => run.id);
      expect(await ids({ since: third.createdAt })).toEqual(made.filter((id) => notBefore.includes(id)));
    });

    caseOf("open runs come oldest first, page by page; a repair closes only what is open", async () => {
      const pipeline = unique("p");
      const made: RunRecord[] = [];
      for (let index = 0; index < 3; index += 1) made.push(await newRun(pipeline));
      // PGlite's clock has milliseconds: two of the same are told apart by their ids.
      const orderOf = ({ createdAt, id }: RunRecord): string => `${createdAt} ${id}`;
      const [first, second, third] = made.toSorted((left, right) => (orderOf(left) < orderOf(right) ? -1 : 1)) as [
        RunRecord,
        RunRecord,
        RunRecord,
      ];
      const later = new Date(Date.now() + 3_600_000).toISOString();
      const openIds = async (): Promise<string[]> => {
        const found: string[] = [];
        let after: RunRecord | undefined;
        do {
          const page = await store.runs.listOpen(later, { limit: 1, ...(after === undefined ? {} : { after }) });
          found.push(...page.filter((run) => run.pipeline === pipeline).map((run) => run.id));
          after = page.at(-1);
        } while (after !== undefined);
        return found;
      };
      expect(await openIds()).toEqual([first.id, second.id, third.id]);
      expect((await store.runs.listOpen("2000-01-01T00:00:00Z", { limit: 10 })).length).toBe(0);
      const asked = { action: "cancel", by: "anna", why: "why" } as const;
      await store.runs.apply({
        runId: first.id,
        seq: 1,
        status: "running",
        tasks: [],
        attempts: [],
        actions: [{ number: 1, action: "pause", by: "ben", at: new Date().toISOString() }],
      });
      await Promise.all([store.runs.noteCancel(first.id, asked), store.runs.noteCancel(first.id, asked)]);
      await store.runs.noteCancel(first.id, { action: "force cancel", by: "ben", why: "another why" });
      expect(await store.runs.actionsOf(first.id)).toMatchObject([
        { number: -2, action: "force cancel", by: "ben", why: "another why" },
        { number: -1, action: "cancel", by: "anna", why: "why" },
        { number: 1, action: "pause", by: "ben" },
      ]);
      await store.runs.repair(first.id, "cancelled");
      await store.runs.repair(first.id, "failed", { code: "INTERNAL", message: "too late" });
      await store.runs.noteCancel(second.id, { ...asked, why: "x" });
      expect(await store.runs.find(first.id)).toMatchObject({ status: "cancelled", cancelReason: "why", error: null });
      expect((await store.runs.find(first.id))?.finishedAt).not.toBeNull();
      expect(await openIds()).toEqual([second.id, third.id]);
    });

    caseOf("a run that is closed is so with all of it that was open, until its own report comes after all", async () => {
      const at = { startedAt: "2026-01-02T03:04:05.000Z" };
      const finished = { ...at, finishedAt: "2026-01-02T03:04:06.000Z" };
      const statuses = ["running", "waiting", "parked", "pending"] as const;
      const closedAs = async (status: RunStatus): Promise<{ readonly id: string; readonly tasks: unknown; readonly attempts: unknown }> => {
        const { id } = await newRun(unique("p"));
        await store.runs.apply({
          runId: id,
          seq: 1,
          status: "running",
          ...at,
          tasks: [
            ...statuses.map((one) => ({ taskId: one, status: one, attempts: 1, ...at, waiting: { for: "retry" as const } })),
            { taskId: "done", status: "succeeded", attempts: 1, ...finished },
          ],
          attempts: [
            { taskId: "running", attempt: 1, status: "running", ...at },
            { taskId: "done", attempt: 1, status: "succeeded", ...finished },
          ],
        });
        await store.runs.repair(id, status);
        const whole = await store.runs.findWhole(id);
        const open = whole?.tasks.filter(({ finishedAt, waiting }) => finishedAt === null || (waiting !== null && waiting !== undefined));
        expect(open).toEqual([]);
        return {
          id,
          tasks: Object.fromEntries(whole?.tasks.map((task) => [task.taskId, task.status]) ?? []),
          attempts: whole?.attempts.map((one) => one.status),
        };
      };
      const cancelled = { running: "cancelled", waiting: "cancelled", parked: "cancelled", pending: "cancelled", done: "succeeded" };
      const forced = await closedAs("cancelled");
      expect(forced).toMatchObject({ tasks: cancelled, attempts: ["succeeded", "cancelled"] });
      await store.runs.apply(report(forced.id, 2, { tasks: [{ taskId: "running", status: "running", attempts: 1, ...at }] }));
      expect(await store.runs.findWhole(forced.id)).toMatchObject({ run: { status: "cancelled", seq: 1 } });
      expect((await store.runs.tasksOf(forced.id)).every(({ finishedAt }) => finishedAt !== null)).toBe(true);
      expect(await closedAs("succeeded")).toMatchObject({ tasks: cancelled, attempts: ["succeeded", "lost"] });
      const { id, ...failed } = await closedAs("failed");
      expect(failed).toEqual({ tasks: { ...cancelled, running: "failed" }, attempts: ["succeeded", "lost"] });
      const told = { taskId: "running", attempts: 1, status: "succeeded", ...finished } as const;
      await store.runs.apply({ runId: id, seq: 2, status: "failed", ...finished, tasks: [told], attempts: [{ ...told, attempt: 1 }] });
      const whole = await store.runs.findWhole(id);
      expect(whole?.tasks.find(({ taskId }) => taskId === "running")).toMatchObject({ status: "succeeded", error: null });
      expect(whole?.attempts.find(({ taskId }) => taskId === "running")).toMatchObject({ status: "succeeded", error: null });
    });

    caseOf("a load's copy is replaced, and listed with its pipeline alone", async () => {
      const pipeline = unique("p_%");
      const load = {
        key: `${pipeline}/t/s`,
        runId: "r1",
        position: { offset: "9007199254740993" },
        rows: 9_007_199_254,
        bytes: 2,
        deadLetters: 0,
      };
      await store.loads.record(load);
      await store.loads.record({ ...load, runId: "r2", position: null, rows: 5 });
      await store.loads.record({ ...load, key: `${pipeline}x/t/s` });
      expect(await store.loads.find(load.key)).toMatchObject({ runId: "r2", rows: 5, position: null });
      expect((await store.loads.list(pipeline, { limit: 10 })).map((entry) => entry.key)).toEqual([load.key]);
      expect(await store.loads.list(pipeline, { limit: 10, after: load.key })).toEqual([]);
    });

    caseOf("processes that live say what they know", async () => {
      const process = unique("process");
      await store.catalogues.publish({ process, role: "worker", hash: "one" });
      await store.catalogues.publish({ process, role: "worker", hash: "two" });
      expect((await store.catalogues.live()).filter((entry) => entry.process === process)).toEqual([
        { process, role: "worker", hash: "two" },
      ]);
    });

    caseOf("it answers a check", async () => {
      await expect(store.check()).resolves.toBeUndefined();
    });
  });
};
