// A backfill goes on while worker, API, store and Temporal are killed: each partition succeeds once, and it stops after as many failures as it should.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { waitUntil } from "../../bin/services/wait.ts";
import { backfillWorkflowId } from "../../core/ids.ts";
import { type Victim, World } from "../faults/world.ts";

let world: World;
beforeAll(async () => {
  world = await World.start(mkdtempSync(path.join(tmpdir(), "downbeat-backfill-kills-")), () => undefined);
}, 120_000);
afterAll(() => world?.close(), 60_000);

const DAYS = 30;
/** Fail until they are mended. It stops after two of them, so once. */
const BAD = [4, 12, 22];
const AT_A_TIME = 3;

const startOf = (day: number): string => `2026-03-${String(day + 1).padStart(2, "0")}T00:00:00+00:00`;
const wellGate = (day: number): string => `well on ${startOf(day)}`;
const PARTITIONS = Array.from({ length: DAYS }, (_, day) => day);

const PIPELINE = {
  apiVersion: "downbeat/v1",
  name: "filled",
  defaults: { timeout: { heartbeat: "2s" }, retry: { attempts: 2, backoff: "200ms" } },
  tasks: [
    {
      id: "hold",
      sql: { connection: "effects", query: "select hold(:gate)", params: { gate: "${{ run.interval.start }}" } },
    },
    {
      id: "mark",
      needs: ["hold"],
      sql: {
        connection: "effects",
        query: "select mark_if_open(:day, 'mark', 0, :gate)",
        params: { day: "${{ run.interval.start }}", gate: "well on ${{ run.interval.start }}" },
      },
    },
  ],
};

interface View {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly counts: Readonly<Record<"running" | "succeeded" | "failed" | "pending", number>>;
  readonly actions: readonly { readonly action: string }[];
}
interface Run {
  readonly id: string;
  readonly status: string;
}
interface Partition {
  readonly partition: number;
  readonly status: string;
  readonly run_status: string | null;
}

let id = "";
const view = (): Promise<View> => world.call("GET", `/v1/backfills/${id}`);
const runs = async (): Promise<readonly Run[]> =>
  (await world.call<{ readonly items: readonly Run[] }>("GET", `/v1/runs?backfill=${id}&limit=500`)).items;
/** "ID.PARTITION", and ".ROUND" of a retry. */
const partitionOf = (run: Run): number => Number(run.id.slice(id.length + 1).split(".")[0]);

const becomes = (expected: object): Promise<void> =>
  waitUntil(async () => expect(await view()).toMatchObject(expected), { timeoutMs: 180_000 });

let opened = 0;
const open = async (until: number): Promise<void> => {
  for (; opened < until; opened += 1) await world.effects.openGate(startOf(opened));
};
/** Lets the days before `until` go on and kills meanwhile; those after them keep the backfill from its end. */
const goOn = async (until: number, victim: Victim): Promise<void> => {
  await open(until);
  await pause(300);
  await world.kill(victim);
};
const wellBefore = (day: number): number => PARTITIONS.filter((one) => one < day && !BAD.includes(one)).length;

it("each partition succeeds once, whatever is killed meanwhile", { timeout: 600_000 }, async () => {
  await world.call("PUT", "/v1/pipelines/filled", PIPELINE);
  for (const day of PARTITIONS) if (!BAD.includes(day)) await world.effects.openGate(wellGate(day));
  const range = { from: "2026-03-01", to: "2026-03-31", every: "day", concurrency: AT_A_TIME, stop_after_failures: 2, by: "ada" };
  ({ id } = await world.call<View>("POST", "/v1/pipelines/filled/backfills", range, "march"));

  await goOn(8, "worker");
  await becomes({ status: "running", counts: { succeeded: wellBefore(8), failed: 1, running: AT_A_TIME } });

  // The second failure stops it: what is under way ends, and nothing else begins.
  await goOn(13, "store");
  await becomes({ status: "paused", counts: { failed: 2 } });
  await open(15);
  await becomes({ status: "paused", reason: "2 partitions failed; it stops after 2", counts: { failed: 2, running: 0 } });
  const begun = await runs();
  expect(Math.max(...begun.map(partitionOf))).toBeLessThan(13 + AT_A_TIME - 1);
  expect(await view()).toMatchObject({ counts: { succeeded: begun.length - 2, pending: DAYS - begun.length } });

  await world.call("POST", `/v1/backfills/${id}/resume`, { by: "ada" }, "go on");
  await goOn(21, "temporal");
  await becomes({ status: "running", counts: { succeeded: wellBefore(21), failed: 2, running: AT_A_TIME } });

  // It counts failures anew.
  await goOn(27, "api");
  await becomes({ status: "running", counts: { succeeded: wellBefore(27), failed: 3, running: AT_A_TIME } });
  await open(DAYS);
  await becomes({ status: "failed", counts: { succeeded: DAYS - BAD.length, failed: BAD.length, pending: 0 } });

  for (const day of BAD) await world.effects.openGate(wellGate(day));
  for (const victim of ["worker", "api"] as const) {
    await world.call("POST", `/v1/backfills/${id}/retry`, { by: "ada" }, "again");
    await world.kill(victim);
  }
  await becomes({ status: "succeeded", counts: { succeeded: DAYS, failed: 0, pending: 0, running: 0 } });
  world.assertHealthy();

  const { actions } = await view();
  expect(actions.map(({ action }) => action)).toEqual(["create", "resume", "retry"]);
  const { items } = await world.call<{ readonly items: readonly Partition[] }>("GET", `/v1/backfills/${id}/partitions?limit=100`);
  expect(items).toMatchObject(PARTITIONS.map((partition) => ({ partition, status: "succeeded", run_status: "succeeded" })));
  const all = await runs();
  const withStatus = (status: string): readonly number[] =>
    all
      .filter((run) => run.status === status)
      .map(partitionOf)
      .toSorted((one, other) => one - other);
  expect(withStatus("succeeded")).toEqual(PARTITIONS);
  expect(withStatus("failed")).toEqual(BAD);
  expect(all).toHaveLength(DAYS + BAD.length);
  const marked = await world.effects.of(PARTITIONS.map(startOf));
  expect(new Set(marked.map(({ run }) => run)).size).toBe(DAYS);
  const ended = await world.withTemporal(({ workflow }) => workflow.getHandle(backfillWorkflowId("filled", id)).describe());
  expect(ended.status.name).toBe("COMPLETED");
});
