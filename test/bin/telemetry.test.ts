// Figures that reports of runs leave in Prometheus' text.

import { afterAll, beforeAll, expect, it } from "vitest";
import { parseConfig } from "../../bin/config.ts";
import { startTelemetry, type Telemetry } from "../../bin/telemetry.ts";
import type { RunChanges } from "../../core/run-changes.ts";

let telemetry: Telemetry;
beforeAll(async () => {
  telemetry = await startTelemetry(parseConfig({}), "downbeat-worker");
});
afterAll(() => telemetry.shutdown());

it("misses of deadlines are counted as the store tells of them, however often they are reported", async () => {
  const late = { taskId: "a", status: "running", attempts: 1, deadlineMissedAt: "2026-01-02T04:00:00.000Z" } as const;
  const changes: RunChanges = { runId: "r", seq: 1, status: "running", tasks: [late], attempts: [] };
  telemetry.onRunChanges(changes, 1);
  telemetry.onRunChanges({ ...changes, seq: 2 }, 0);
  telemetry.onRunChanges({ ...changes, seq: 3 }, 2);
  expect(await telemetry.metricsText()).toMatch(/^downbeat_deadlines_missed_total(?:\{.*\})? 3$/m);
});
