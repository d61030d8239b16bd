// `npm run bench:schedules`: how late a schedule's runs begin their first task, against a bare Temporal schedule on the same server at the same seconds.

import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { scheduleId } from "../core/ids.ts";
import { formatTable } from "../bin/table.ts";
import { formatSpread, spreadOf } from "./lib/pairs.ts";
import { FLOOR_QUEUE, type Stack, withStack } from "./lib/stack.ts";

const FIRINGS = Number(process.env["FIRINGS"] ?? 60);
const WARM_UPS = 5;
/** Beyond the floor's median. */
const ALLOWED_SECONDS = 0.1;
const PIPELINE = "each-second";
const FLOOR_SCHEDULE = "bare-schedule";

const say = (line: string): void => console.log(line);

interface Firing {
  /** Milliseconds since 1970: a whole second. */
  readonly due: number;
  /** Seconds until the first task was with its worker. */
  readonly late: number;
}

/** Firings of a schedule whose first task has begun, by the server's clock alone. */
const firingsOf = async (client: Client, schedule: string): Promise<readonly Firing[]> => {
  const firings: Firing[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: `TemporalScheduledById = "${schedule}"` })) {
    // Temporal appends the moment, which has whole seconds.
    const due = Date.parse(workflowId.slice(-"2026-01-01T00:00:00Z".length));
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const started = events?.find((event) => event.activityTaskStartedEventAttributes)?.eventTime;
    if (started === undefined || started === null) continue;
    const at = Number(started.seconds) * 1_000 + (started.nanos ?? 0) / 1_000_000;
    firings.push({ due, late: (at - due) / 1_000 });
  }
  return firings;
};

const main = async ({ api, client }: Stack): Promise<number> => {
  await api.call("PUT", `/v1/pipelines/${PIPELINE}`, {
    apiVersion: "downbeat/v1",
    name: PIPELINE,
    schedules: [{ name: "tick", every: "1s", overlap: "allow-all" }],
    tasks: [{ id: "only", activity: { name: "noop" } }],
  });
  const floor = await client.schedule.create({
    scheduleId: FLOOR_SCHEDULE,
    spec: { intervals: [{ every: "1s" }] },
    policies: { overlap: "ALLOW_ALL", catchupWindow: "10m" },
    action: { type: "startWorkflow", workflowType: "chain", workflowId: "bare", taskQueue: FLOOR_QUEUE, args: [1] },
  });
  const first = Math.ceil(Date.now() / 1_000) * 1_000 + WARM_UPS * 1_000;
  const last = first + (FIRINGS - 1) * 1_000;
  say(`waiting for ${FIRINGS} firings of each`);
  // A few seconds more, so that the last ones have begun and can be listed.
  await pause(last + 5_000 - Date.now());
  const own = scheduleId({ pipeline: PIPELINE, name: "tick" });
  await api.call("POST", `/v1/pipelines/${PIPELINE}/schedules/tick/pause`, { by: "bench" });
  await floor.pause();
  await pause(2_000);
  const measure = async (schedule: string) => {
    const firings = (await firingsOf(client, schedule)).filter(({ due }) => due >= first && due <= last);
    return { missed: FIRINGS - new Set(firings.map(({ due }) => due)).size, late: spreadOf(firings.map(({ late }) => late)) };
  };
  const [ours, bare] = [await measure(own), await measure(FLOOR_SCHEDULE)];
  const allowed = bare.late.median + ALLOWED_SECONDS;
  say(
    formatTable(
      ["", "late s (spread)", "missed"],
      [
        ["ours", formatSpread(ours.late), String(ours.missed)],
        ["bare Temporal schedule", formatSpread(bare.late), String(bare.missed)],
        ["allowed", allowed.toFixed(3), "0"],
      ],
    ),
  );
  // A firing that is missed is not a matter of measure.
  const worst = ours.missed > 0 ? 1 + ours.missed : ours.late.median / allowed;
  const figures = [{ firings: FIRINGS, ours, floor: bare, allowed_median: allowed }];
  say(JSON.stringify({ bench: "schedules", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);
