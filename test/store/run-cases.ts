// What the store promises of runs: one for a key, listed, closed.

import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { runFacts } from "../../store/run-facts.ts";
import type { RunRecord } from "../../store/runs.ts";
import type { Store } from "../../store/open-store.ts";
import { type StoreKit, unique } from "./kit.ts";

export const runCases = (kit: StoreKit): void => {
  const { caseOf, newRun, report } = kit;

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
    expect((await kit.store.runs.create(input)).created).toBe(true);
    const again = await kit.store.runs.create(input);
    expect(again).toMatchObject({ created: false, run: { schedule: "daily", ...interval } });
    expect(runFacts(again.run).interval).toEqual({ start: interval.intervalStart, end: interval.intervalEnd });
    expect(runFacts(await newRun())).not.toHaveProperty("interval");
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

  caseOf("runs are listed newest first, filtered, and paged without gaps", async () => {
    const pipeline = unique("p");
    const created: RunRecord[] = [];
    for (let index = 0; index < 5; index += 1) created.push(await newRun(pipeline));
    // Clocks may be coarse: runs of the same moment stand in the order of their ids.
    const rank = ({ createdAt, id }: RunRecord): string => `${new Date(createdAt).toISOString()}${createdAt}${id}`;
    const made = created.toSorted((left, right) => (rank(left) < rank(right) ? 1 : -1)).map((run) => run.id);
    await kit.store.runs.apply(report(made[0] as string, 1, { status: "succeeded" }));
    const paged: string[] = [];
    let after: RunRecord | undefined;
    do {
      const page = await kit.store.runs.list({ pipeline }, { limit: 2, ...(after === undefined ? {} : { after }) });
      paged.push(...page.map((run) => run.id));
      after = page.at(-1);
    } while (after !== undefined);
    expect(paged).toEqual(made);
    const ids = async (filter: Parameters<Store["runs"]["list"]>[0]) =>
      (await kit.store.runs.list({ pipeline, ...filter }, { limit: 10 })).map((run) => run.id);
    expect(await ids({ status: ["succeeded", "failed"] })).toEqual([made[0]]);
    expect(await ids({ trigger: "schedule" })).toEqual([]);
    const third = (await kit.store.runs.find(made[2] as string)) as RunRecord;
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
        const page = await kit.store.runs.listOpen(later, { limit: 1, ...(after === undefined ? {} : { after }) });
        found.push(...page.filter((run) => run.pipeline === pipeline).map((run) => run.id));
        after = page.at(-1);
      } while (after !== undefined);
      return found;
    };
    expect(await openIds()).toEqual([first.id, second.id, third.id]);
    expect((await kit.store.runs.listOpen("2000-01-01T00:00:00Z", { limit: 10 })).length).toBe(0);
    await kit.store.runs.noteCancel(first.id, { action: "cancel", by: "anna", why: "why" });
    await kit.store.runs.repair(first.id, "cancelled");
    await kit.store.runs.repair(first.id, "failed", { code: "INTERNAL", message: "too late" });
    expect(await kit.store.runs.find(first.id)).toMatchObject({ status: "cancelled", cancelReason: "why", error: null });
    expect((await kit.store.runs.find(first.id))?.finishedAt).not.toBeNull();
    expect(await openIds()).toEqual([second.id, third.id]);
  });
};
