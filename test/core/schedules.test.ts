// Schedules: what they mean once compiled, what is refused and where, and when they fire.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isInCalendar, nextInCalendar } from "../../core/calendar.ts";
import { compilePlan } from "../../core/compile-plan.ts";
import { readCron } from "../../core/cron.ts";
import { parseDefinition } from "../../core/definition.ts";
import { nextFirings, previousFiring } from "../../core/firings.ts";
import type { SchedulePlan, ScheduleTimes } from "../../core/schedule.ts";
import { isTimeZone, momentOf, wallTimeAt } from "../../core/time-zone.ts";
import { catalogue } from "./catalogue.ts";

const definitionOf = (schedules: string): string => `apiVersion: downbeat/v1
name: scheduled
tasks:
  - { id: a, activity: { name: score } }
schedules:
${schedules}`;

const compile = (schedules: string): readonly SchedulePlan[] => {
  const parsed = parseDefinition(definitionOf(schedules));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  const result = compilePlan(parsed.definition, catalogue, parsed.locate);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.compiled.schedules ?? [];
};

/** `path: message` of every issue. */
const issuesOf = (schedules: string): readonly string[] => {
  const parsed = parseDefinition(definitionOf(schedules));
  const result = parsed.ok ? compilePlan(parsed.definition, catalogue, parsed.locate) : parsed;
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path}: ${message}`);
};

const timesOf = (schedule: string): ScheduleTimes => {
  const [plan] = compile(`  - ${schedule}`);
  if (plan === undefined) throw new Error("no schedule");
  return plan.times;
};

/** The next firings as the zone's clocks show them. */
const clocks = (schedule: string, after: string, count: number): readonly string[] => {
  const times = timesOf(schedule);
  return nextFirings(times, Date.parse(after), count).map((moment) =>
    new Date(wallTimeAt(times.timezone, moment)).toISOString().slice(0, 16),
  );
};

describe("schedules that are refused", () => {
  it.each([
    ["{ cron: '* * * *' }", "schedules[0].cron", "has 5 fields"],
    ["{ cron: '0 0 * * * *' }", "schedules[0].cron", "this one has 6"],
    ["{ cron: '@every 5m' }", "schedules[0].cron", '"every"'],
    ["{ cron: '0 24 * * *' }", "schedules[0].cron", "hour 24 is not in 0–23"],
    ["{ cron: '0 0 * * mox' }", "schedules[0].cron", 'day of the week "mox"'],
    ["{ cron: '0 17-8 * * *' }", "schedules[0].cron", "runs backwards"],
    ["{ cron: '*/0 * * * *' }", "schedules[0].cron", "step"],
    ["{ cron: '0 0 30 2 *' }", "schedules[0].cron", "never fires"],
    ["{ calendar: { hour: 25 } }", "schedules[0].calendar.hour", "hour 25"],
    ["{ calendar: [{ hour: 6 }, { month: 13 }] }", "schedules[0].calendar[1].month", "month 13"],
    ["{ every: 90ms }", "schedules[0].every", "out of bounds"],
    ["{ every: 1500ms }", "schedules[0].every", "whole seconds"],
    ["{ every: 1h, offset: 1h }", "schedules[0].offset", "not below every"],
    ["{ cron: '@hourly', offset: 1m }", "schedules[0].offset", "belongs to every"],
    ["{ cron: '@hourly', every: 1h }", "schedules[0]", "has cron and every"],
    ["{ name: empty }", "schedules[0]", "says nothing"],
    ["{ cron: '@daily', timezone: Europe/Berln }", "schedules[0].timezone", 'did you mean "Europe/Berlin"?'],
    ["{ cron: '@daily', timezone: europe/berlin }", "schedules[0].timezone", "Europe/Berlin"],
    ["{ cron: '@daily', timezone: '+02:00' }", "schedules[0].timezone", "no time zone"],
    ["{ cron: '@daily', start: '2027-01-01', end: '2026-12-31' }", "schedules[0].end", "before it starts"],
    ["{ cron: '@daily', start: 2026-02-30 }", "schedules[0].start", "no moment"],
    ["{ cron: '@daily', start: '2026-02-03T04:05:06' }", "schedules[0].start", "no moment"],
    ["{ cron: '@daily', exclude: [Christmas] }", "schedules[0].exclude[0]", "no date"],
    ["{ cron: '@daily', exclude: [{ hour: 0 }] }", "schedules[0].cron", "outside what it excludes"],
    ["{ cron: '@daily', overlap: skipp }", "schedules[0].overlap", 'did you mean "skip"?'],
    ["{ cron: '@daily', catch_up: 1s }", "schedules[0].catch_up", "out of bounds"],
    ["{ cron: '@daily', timezon: UTC }", "schedules[0].timezon", 'did you mean "timezone"?'],
    ["{ name: Upper, cron: '@daily' }", "schedules[0].name", "1 to 63"],
  ])("%s", (schedule, path, message) => {
    const issues = issuesOf(`  - ${schedule}`);
    expect(issues).toEqual([expect.stringContaining(message)]);
    expect(issues[0]?.split(": ")[0]).toBe(path);
  });

  it("are told all at once, beside the faults of tasks", () => {
    const text = definitionOf("  - { cron: '61 * * * *', timezone: Nowhere }\n  - { every: 1h, offset: 2h }").replace("score", "absent");
    const parsed = parseDefinition(text);
    const result = parsed.ok ? compilePlan(parsed.definition, catalogue, parsed.locate) : parsed;
    const found = result.ok ? [] : result.issues.map(({ code, path, line }) => `${code} ${path} ${line}`);
    expect(found.toSorted()).toEqual([
      "DUPLICATE_SCHEDULE schedules[1].name 7",
      "INVALID_SCHEDULE schedules[0].cron 6",
      "INVALID_SCHEDULE schedules[0].timezone 6",
      "INVALID_SCHEDULE schedules[1].offset 7",
      expect.stringContaining("UNKNOWN_ACTIVITY"),
    ]);
  });
});

describe("schedules that are compiled", () => {
  it("have their defaults, and a catch-up window that is never Temporal's year", () => {
    expect(compile("  - cron: '@daily'")).toMatchObject([
      {
        name: "default",
        summary: "@daily UTC",
        overlap: "skip",
        catchUpMs: 600_000,
        paused: false,
        params: {},
        times: { timezone: "UTC" },
      },
    ]);
  });

  it("take a date as a day of their zone, both ends included", () => {
    const times = timesOf("{ cron: '0 0 * * *', timezone: America/New_York, start: 2026-03-08, end: 2026-03-09 }");
    expect([times.startAt, times.endAt]).toEqual(["2026-03-08T05:00:00.000Z", "2026-03-10T03:59:59.000Z"]);
    expect(nextFirings(times, 0, 5).map((moment) => new Date(moment).toISOString())).toEqual([
      "2026-03-08T05:00:00.000Z",
      "2026-03-09T04:00:00.000Z",
    ]);
  });
});

describe("firings", () => {
  it.each([
    ["{ cron: '15 * * * *' }", "2026-01-01T00:15:00Z", ["2026-01-01T01:15", "2026-01-01T02:15"]],
    ["{ cron: '*/20 6 * * *' }", "2026-01-01T06:30:00Z", ["2026-01-01T06:40", "2026-01-02T06:00"]],
    ["{ cron: '0 9 * * mon-fri' }", "2026-01-02T09:00:00Z", ["2026-01-05T09:00", "2026-01-06T09:00"]],
    ["{ cron: '0 9 * * 7' }", "2026-01-02T09:00:00Z", ["2026-01-04T09:00", "2026-01-11T09:00"]],
    ["{ cron: '0 9 * * 5-7' }", "2026-01-02T09:00:00Z", ["2026-01-03T09:00", "2026-01-04T09:00"]],
    // As cron always did: the 13th, and every Friday.
    ["{ cron: '0 0 13 * fri' }", "2026-01-08T00:00:00Z", ["2026-01-09T00:00", "2026-01-13T00:00", "2026-01-16T00:00"]],
    ["{ cron: '0 0 29 2 *' }", "2026-01-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["{ cron: '@monthly', timezone: Asia/Tokyo }", "2026-01-31T15:00:00Z", ["2026-03-01T00:00"]],
    ["{ every: 6h, offset: 90m }", "2026-01-01T00:00:00Z", ["2026-01-01T01:30", "2026-01-01T07:30"]],
    ["{ calendar: { hour: [6, 18], minute: 30 } }", "2026-01-01T12:00:00Z", ["2026-01-01T18:30", "2026-01-02T06:30"]],
    [
      "{ calendar: { second: '*/30', minute: 59, hour: 23 } }",
      "2026-01-01T00:00:00Z",
      ["2026-01-01T23:59", "2026-01-01T23:59", "2026-01-02T23:59"],
    ],
    [
      "{ cron: '0 12 * * *', exclude: ['2026-01-02', { day_of_week: sun }] }",
      "2026-01-01T12:00:00Z",
      ["2026-01-03T12:00", "2026-01-05T12:00"],
    ],
    // The day before Christmas in Berlin is not yet over in UTC.
    [
      "{ cron: '30 23 * * *', timezone: Europe/Berlin, exclude: ['2026-12-24'] }",
      "2026-12-23T12:00:00Z",
      ["2026-12-23T23:30", "2026-12-25T23:30"],
    ],
  ])("%s after %s", (schedule, after, expected) => {
    expect(clocks(schedule, after, expected.length)).toEqual(expected);
  });

  it("end with the schedule", () => {
    expect(clocks("{ every: 1h, start: '2026-01-01T10:00:00Z', end: '2026-01-01T12:00:00Z' }", "2026-01-01T00:00:00Z", 9)).toEqual([
      "2026-01-01T10:00",
      "2026-01-01T11:00",
      "2026-01-01T12:00",
    ]);
  });

  it("go back over exclusions, and to before the start", () => {
    const times = timesOf("{ cron: '0 6 * * mon-fri', start: 2026-01-05, timezone: Europe/Berlin }");
    const [monday = 0] = nextFirings(times, Date.parse("2026-01-01T00:00:00Z"), 1);
    expect(new Date(previousFiring(times, monday) ?? 0).toISOString()).toBe("2026-01-02T05:00:00.000Z");
    expect(previousFiring(timesOf("{ calendar: { year: 2030, month: 1, day_of_month: 1 } }"), Date.UTC(2030, 0, 1))).toBeUndefined();
  });

  it("backwards are the firings forwards, in every zone and over changes of its clocks", () => {
    const zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"] as const;
    const crons = ["30 1 * * *", "*/15 2 * * *", "15 * * * *", "0 0 * * mon,thu", "45 1-3 * * *"] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...crons),
        fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) }),
        (timezone, cron, from) => {
          const times: ScheduleTimes = { calendars: readCron(cron), intervals: [], exclude: [], timezone };
          const forwards = nextFirings(times, from, 20);
          const backwards = forwards.slice(1).map((moment) => previousFiring(times, moment));
          expect(backwards).toEqual(forwards.slice(0, -1));
        },
      ),
    );
  });

  it.each([
    ["Europe/Berlin", "2026-10-25"],
    ["America/New_York", "2026-11-01"],
    ["Australia/Lord_Howe", "2026-04-05"],
    ["Europe/Berlin", "2026-03-29"],
    ["America/New_York", "2026-03-08"],
    ["Australia/Lord_Howe", "2026-10-04"],
  ])("backwards are the firings forwards on the very day, in %s on %s", (timezone, date) => {
    for (const cron of ["*/15 0-5 * * *", "30 1,2 * * *", "45 1 * * *", "*/20 * * * sat,sun", "15 2 * * *", "0 * * * *"]) {
      const times: ScheduleTimes = { calendars: readCron(cron), intervals: [], exclude: [], timezone };
      const from = Date.parse(`${date}T00:00:00Z`) - 36 * 3_600_000;
      const forwards = nextFirings(times, from, 300).filter((moment) => moment < from + 84 * 3_600_000);
      expect(forwards.length).toBeGreaterThan(1);
      expect(forwards.slice(1).map((moment) => previousFiring(times, moment))).toEqual(forwards.slice(0, -1));
    }
  });

  it("are the first moments whose every field is in the calendar", () => {
    const { calendars } = timesOf(
      "{ calendar: { month: '1-6', day_of_month: '*/2', hour: '3,9-17/4', minute: '5-40/7', second: '10,50' } }",
    );
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1960, 0, 1), max: Date.UTC(2027, 0, 1) }), (after) => {
        const [calendar] = calendars;
        if (calendar === undefined) throw new Error("no calendar");
        const found = nextInCalendar(calendar, "UTC", after) ?? NaN;
        expect(found).toBeGreaterThan(after);
        expect(isInCalendar(calendar, "UTC", found)).toBe(true);
        for (let back = 1_000; back <= 3_600_000 && found - back > after; back += 1_000)
          expect(isInCalendar(calendar, "UTC", found - back)).toBe(false);
      }),
      { numRuns: 30 },
    );
  });

  it("seconds after a weekend of exclusions are found in a moment", () => {
    const times = timesOf("{ every: 1s, exclude: [{ day_of_week: 'sat,sun' }] }");
    const friday = Date.parse("2026-01-02T23:59:59Z");
    expect(nextFirings(times, friday, 1)).toEqual([Date.parse("2026-01-05T00:00:00Z")]);
  });
});

describe("run.interval in expressions", () => {
  const taskOf = (expression: string): string =>
    definitionOf("  - { every: 1h }").replace("name: score", `name: score, input: "\${{ ${expression} }}"`);

  it.each([
    ["run.interval.start", []],
    ["run.interval.end == null ? 'by hand' : run.interval.end", []],
    ["run.interval.begin", ['a data interval has no "begin"; it has start and end']],
    ["run.intervall.start", ['did you mean "interval"?']],
  ])("%s", (expression, messages) => {
    const parsed = parseDefinition(taskOf(expression));
    const result = parsed.ok ? compilePlan(parsed.definition, catalogue, parsed.locate) : parsed;
    expect(result.ok ? [] : result.issues.map(({ message }) => message)).toEqual(
      messages.map((message) => expect.stringContaining(message) as string),
    );
  });
});

describe("time zones", () => {
  it("are known by their IANA names, in their own case", () => {
    expect(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Eastern", "Etc/GMT+5"].map(isTimeZone)).not.toContain(false);
    expect(["", "utc", "Berlin", "+01:00", "Europe/Berlin "].map(isTimeZone)).not.toContain(true);
  });

  it("give a wall clock's moment back, but where clocks jump", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000_000_000 }), (seconds) => {
        const moment = seconds * 1_000;
        const wall = wallTimeAt("Europe/Berlin", moment);
        const again = momentOf("Europe/Berlin", wall);
        expect([0, 3_600_000]).toContain(again - moment);
        expect(wallTimeAt("Europe/Berlin", again)).toBe(wall);
      }),
    );
  });
});
