// Our own firings against Temporal's, on a real server: crons, calendars, exclusions, and clocks that change in both directions.

import { Client, Connection } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scheduleSpec } from "../../api/orchestrator-schedules.ts";
import { compileSchedule } from "../../core/compile-schedules.ts";
import { scheduleSchema } from "../../core/definition-schedules.ts";
import { nextFirings } from "../../core/firings.ts";
import type { ScheduleTimes } from "../../core/schedule.ts";
import { isoIn } from "../../core/time-zone.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";

let connection: Connection;
let client: Client;

beforeAll(async () => {
  connection = await Connection.connect({ address: temporalServer().address });
  client = new Client({ connection });
});
afterAll(() => connection.close());

const timesOf = (schedule: object): ScheduleTimes =>
  compileSchedule(scheduleSchema.parse(schedule), [], (_code, path, message) => {
    throw new Error(`${path.join(".")}: ${message}`);
  }).times;

const timestamp = (moment: number) => ({ seconds: moment / 1_000 }) as never;

/** What Temporal says, in milliseconds; both ends of the window included. */
const temporalFirings = async (times: ScheduleTimes, from: number, to: number): Promise<readonly number[]> => {
  const scheduleId = freshName("times");
  const handle = await client.schedule.create({
    scheduleId,
    spec: scheduleSpec(times),
    action: { type: "startWorkflow", workflowType: "none", taskQueue: scheduleId },
    state: { paused: true },
  });
  try {
    // Its window begins after the start.
    const window = { startTime: timestamp(from - 1_000), endTime: timestamp(to) };
    const { startTime } = await client.workflowService.listScheduleMatchingTimes({ namespace: "default", scheduleId, ...window });
    return (startTime ?? []).map(({ seconds }) => Number(seconds) * 1_000);
  } finally {
    await handle.delete();
  }
};

const ourFirings = (times: ScheduleTimes, from: number, to: number): readonly number[] =>
  nextFirings(times, from - 1_000, 2_000).filter((moment) => moment <= to);

/** Both agree, and this is what the clocks of the zone show. */
const firingsBetween = async (schedule: object, from: string, to: string): Promise<readonly string[]> => {
  const times = timesOf(schedule);
  const window = [Date.parse(from), Date.parse(to)] as const;
  const show = (moments: readonly number[]): readonly string[] => moments.map((moment) => isoIn(times.timezone, moment));
  const theirs = show(await temporalFirings(times, ...window));
  expect(show(ourFirings(times, ...window))).toEqual(theirs);
  return theirs;
};

/** A missing hour (half an hour at Lord Howe) in spring, a doubled one in autumn: hours of the local day around the change. */
const CHANGES = [
  { timezone: "Europe/Berlin", inGap: "30 2 * * *", gap: "2026-03-29", inFold: "30 2 * * *", fold: "2026-10-25" },
  { timezone: "America/New_York", inGap: "30 2 * * *", gap: "2026-03-08", inFold: "30 1 * * *", fold: "2026-11-01" },
  { timezone: "Australia/Sydney", inGap: "30 2 * * *", gap: "2026-10-04", inFold: "30 2 * * *", fold: "2026-04-05" },
  { timezone: "Australia/Lord_Howe", inGap: "15 2 * * *", gap: "2026-10-04", inFold: "45 1 * * *", fold: "2026-04-05" },
] as const;

const around = (date: string, hours: number): [string, string] => {
  const noon = Date.parse(`${date}T12:00:00Z`);
  return [new Date(noon - hours * 3_600_000).toISOString(), new Date(noon + hours * 3_600_000).toISOString()];
};

const EXPECTED: Readonly<Record<string, { readonly gap: readonly string[]; readonly fold: readonly string[] }>> = {
  "Europe/Berlin": {
    gap: ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"],
    fold: ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"],
  },
  "America/New_York": {
    gap: ["2026-03-07T02:30:00-05:00", "2026-03-09T02:30:00-04:00"],
    fold: ["2026-10-31T01:30:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"],
  },
  "Australia/Sydney": {
    gap: ["2026-10-03T02:30:00+10:00", "2026-10-05T02:30:00+11:00"],
    fold: ["2026-04-04T02:30:00+11:00", "2026-04-05T02:30:00+10:00", "2026-04-06T02:30:00+10:00"],
  },
  "Australia/Lord_Howe": {
    gap: ["2026-10-03T02:15:00+10:30", "2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00"],
    fold: ["2026-04-04T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-06T01:45:00+10:30"],
  },
};

describe("firings when clocks change", () => {
  it.each(CHANGES)("$timezone: a moment that is missing, and one that comes twice", async ({ timezone, inGap, gap, inFold, fold }) => {
    const near = (moments: readonly string[], date: string): readonly string[] => {
      const day = Date.parse(`${date}T00:00:00Z`);
      return moments.filter((moment) => Math.abs(Date.parse(`${moment.slice(0, 10)}T00:00:00Z`) - day) <= 86_400_000);
    };
    expect(near(await firingsBetween({ cron: inGap, timezone }, ...around(gap, 60)), gap)).toEqual(EXPECTED[timezone]?.gap);
    expect(near(await firingsBetween({ cron: inFold, timezone }, ...around(fold, 60)), fold)).toEqual(EXPECTED[timezone]?.fold);
  });

  it.each(CHANGES)("$timezone: every few minutes around both changes", async ({ timezone, gap, fold }) => {
    for (const date of [gap, fold]) {
      for (const cron of ["*/15 * * * *", "*/15 0-5 * * *", "20 1-3 * * *", "0 * * * *", "50 * * * sun"])
        await firingsBetween({ cron, timezone }, ...around(date, 36));
    }
  });

  it("an interval knows no clocks", async () => {
    const moments = await firingsBetween({ every: "1h", timezone: "Europe/Berlin" }, "2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z");
    expect(moments.map((moment) => moment.slice(11, 16))).toEqual(["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]);
  });
});

describe("firings of all forms", () => {
  it.each([
    { cron: "15 6 * * mon-fri", timezone: "Asia/Kathmandu" },
    { cron: "0 0 13 * fri" },
    { cron: "5-50/15 */6 1,15 * *", timezone: "America/Sao_Paulo" },
    { cron: "@weekly", timezone: "Pacific/Auckland" },
    { every: "7h", offset: "90m" },
    { every: "36h", exclude: [{ day_of_week: "sun" }] },
    { calendar: [{ hour: 6 }, { hour: "18-23/2", minute: [0, 30], day_of_week: "sat,7" }], timezone: "Europe/London" },
    {
      cron: "0 12 * * *",
      timezone: "Europe/Berlin",
      exclude: ["2026-12-25", { month: "dec", day_of_month: "30-31" }, { day_of_week: 1, hour: "0-11" }],
    },
    { cron: "0 0 * * *", timezone: "Europe/Berlin", start: "2026-12-05", end: "2026-12-20T00:00:00+01:00" },
  ])("%o", async (schedule) => {
    expect((await firingsBetween(schedule, "2026-11-28T00:00:00Z", "2027-02-03T00:00:00Z")).length).toBeGreaterThan(2);
  });
});
