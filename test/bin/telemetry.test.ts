// Figures as Prometheus reads them.

import { afterAll, beforeAll, expect, it } from "vitest";
import { parseConfig } from "../../bin/config.ts";
import { startTelemetry, type Telemetry } from "../../bin/telemetry.ts";
import type { RunChanges } from "../../core/run-changes.ts";
import type { EventFigure } from "../../store/triggers.ts";

let telemetry: Telemetry;
beforeAll(async () => {
  telemetry = await startTelemetry(parseConfig({}), "downbeat-api");
});
afterAll(() => telemetry?.shutdown());

it("events of triggers are counted by what became of them, with the age of the oldest that waits, until none does", async () => {
  const of = { pipeline: "p", name: "t" };
  const since = new Date(Date.now() - 90_000).toISOString();
  let figures = (): Promise<readonly EventFigure[]> =>
    Promise.resolve([
      { ...of, status: "started", count: 3, since },
      { ...of, status: "waiting", count: 2, since },
    ]);
  telemetry.watchEvents(() => figures());
  let text = await telemetry.metricsText();
  const figure = (name: string, more = ""): number =>
    Number(new RegExp(String.raw`^${name}\{[^}]*pipeline="p",trigger="t"${more}[^}]*\} ([\d.]+)`, "m").exec(text)?.[1]);
  expect(figure("downbeat_events", ',status="started"')).toBe(3);
  expect(figure("downbeat_events", ',status="waiting"')).toBe(2);
  expect(figure("downbeat_events_oldest_waiting_seconds")).toBeGreaterThanOrEqual(90);
  figures = () => Promise.resolve([{ ...of, status: "started", count: 5, since }]);
  text = await telemetry.metricsText();
  expect(figure("downbeat_events", ',status="started"')).toBe(5);
  expect(figure("downbeat_events", ',status="waiting"')).toBe(0);
  expect(figure("downbeat_events_oldest_waiting_seconds")).toBe(0);
  figures = () => Promise.reject(new Error("the store is away"));
  expect(await telemetry.metricsText()).toContain('trigger="t"');
});

it("misses of deadlines are counted as the store tells of them, however often they are reported", async () => {
  const late = { taskId: "a", status: "running", attempts: 1, deadlineMissedAt: "2026-01-02T04:00:00.000Z" } as const;
  const changes: RunChanges = { runId: "r", seq: 1, status: "running", tasks: [late], attempts: [] };
  telemetry.onRunChanges(changes, 1);
  telemetry.onRunChanges({ ...changes, seq: 2 }, 0);
  telemetry.onRunChanges({ ...changes, seq: 3 }, 2);
  expect(await telemetry.metricsText()).toMatch(/^downbeat_deadlines_missed_total(?:\{.*\})? 3$/m);
});

it("copies of changes say until when they are whole, each by its pipeline and task", async () => {
  const before = Date.now() / 1_000;
  const what = { operator: "transfer", pipeline: "shop" };
  telemetry.onMoved({ ...what, task: "orders", metrics: { lagSeconds: 600 } });
  telemetry.onMoved({ ...what, task: "other", metrics: { rows: 1 } });
  const found = /^downbeat_changes_as_of_timestamp_seconds\{[^}]*pipeline="shop",task="(\w+)"[^}]*\} ([\d.]+)/gm;
  const told = [...(await telemetry.metricsText()).matchAll(found)].map(([, task, moment]) => ({ task, moment: Number(moment) }));
  expect(told).toEqual([{ task: "orders", moment: expect.any(Number) as number }]);
  expect(told[0]!.moment).toBeGreaterThanOrEqual(before - 600);
  expect(told[0]!.moment).toBeLessThanOrEqual(Date.now() / 1_000 - 600);
});
