// Temporal Schedules: made as the store says, compared with it, listed and removed.

import {
  type CalendarSpec,
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  type ScheduleOverlapPolicy,
} from "@temporalio/client";
import { firingZone } from "../core/firings.ts";
import { DEFAULT_QUEUE, parseScheduleId, scheduledWorkflowId, scheduleId, type ScheduleRef } from "../core/ids.ts";
import type { Calendar, Range, SchedulePlan } from "../core/schedule.ts";
import { RUN_WORKFLOW, type RunInput, type ScheduledInput, searchAttributesOf } from "../workflows/messages.ts";
import { contentHash } from "./hash.ts";
import type { Call } from "./orchestrator-owners.ts";

export interface WantedSchedule extends ScheduleRef {
  readonly version: number;
  readonly planHash: string;
  readonly plan: SchedulePlan;
  readonly paused: boolean;
  /** Why it is paused or not, for Temporal's UI. */
  readonly note: string;
}

export interface FoundSchedule extends ScheduleRef {
  readonly paused: boolean;
  /** Whether Temporal knows when it fires next. */
  readonly hasNext: boolean;
}

export interface ScheduleDoor {
  /** Makes Temporal's schedule exactly this, whatever it was; answers what that took. Throws a TypeError where Temporal refuses it for good. */
  ensure(wanted: WantedSchedule): Promise<"kept" | "created" | "changed">;
  /** Safe to repeat; answers whether it was there. */
  remove(ref: ScheduleRef): Promise<boolean>;
  /** All schedules of ours, as Temporal lists them: up to some seconds late. */
  list(): Promise<readonly FoundSchedule[]>;
}

type Options = ScheduleOptions<ScheduleOptionsStartWorkflowAction<(input: RunInput | ScheduledInput) => Promise<unknown>>> & {
  readonly state: { readonly paused: boolean; readonly note: string };
};
type Spec = Options["spec"];

const OVERLAPS: Readonly<Record<SchedulePlan["overlap"], ScheduleOverlapPolicy>> = {
  skip: "SKIP",
  "buffer-one": "BUFFER_ONE",
  "buffer-all": "BUFFER_ALL",
  "cancel-other": "CANCEL_OTHER",
  "terminate-other": "TERMINATE_OTHER",
  "allow-all": "ALLOW_ALL",
};

const MONTHS = "JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER".split(" ");
const DAYS = "SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY".split(" ");

/** The SDK wants months and days by name. */
const named = (ranges: readonly Range[], names: readonly string[], first: number) =>
  ranges.map(({ start, end, step }) => ({ start: names[start - first], end: names[end - first], step }));

const calendarSpec = ({ month, dayOfWeek, comment = "", ...rest }: Calendar): CalendarSpec =>
  ({ ...rest, comment, month: named(month, MONTHS, 1), dayOfWeek: named(dayOfWeek, DAYS, 0) }) as CalendarSpec;

export const scheduleSpec = (times: SchedulePlan["times"]): Spec => ({
  calendars: times.calendars.map(calendarSpec),
  intervals: times.intervals.map(({ everyMs, offsetMs }) => ({ every: everyMs, offset: offsetMs })),
  skip: times.exclude.map(calendarSpec),
  timezone: firingZone(times),
  ...(times.startAt === undefined ? {} : { startAt: new Date(times.startAt) }),
  ...(times.endAt === undefined ? {} : { endAt: new Date(times.endAt) }),
  ...(times.jitterMs === undefined ? {} : { jitter: times.jitterMs }),
});

const optionsOf = (wanted: WantedSchedule): Options => {
  const { pipeline, name, version, planHash, plan, paused, note } = wanted;
  return {
    scheduleId: scheduleId(wanted),
    spec: scheduleSpec(plan.times),
    policies: { overlap: OVERLAPS[plan.overlap], catchupWindow: plan.catchUpMs, pauseOnFailure: false },
    state: { paused, note },
    action: {
      type: "startWorkflow",
      workflowType: RUN_WORKFLOW,
      workflowId: scheduledWorkflowId(wanted),
      taskQueue: DEFAULT_QUEUE,
      args: [{ scheduled: { pipeline, schedule: name, version, planHash, params: plan.params } }],
      workflowTaskTimeout: 30_000,
      typedSearchAttributes: searchAttributesOf({ ...wanted, trigger: "schedule" }),
      memo: { pipeline, version, trigger: "schedule", planHash },
      staticSummary: `${pipeline} v${version}, by schedule ${name}`,
    },
  };
};

/** What a schedule is, in one form for what is wanted and for what Temporal describes. */
const comparable = ({ spec, policies, state, action }: Options | ScheduleDescription): string =>
  contentHash({
    spec: {
      calendars: spec.calendars ?? [],
      intervals: spec.intervals ?? [],
      skip: spec.skip ?? [],
      timezone: spec.timezone,
      startAt: spec.startAt?.toISOString(),
      endAt: spec.endAt?.toISOString(),
      jitter: spec.jitter,
    },
    overlap: policies?.overlap,
    catchupWindow: policies?.catchupWindow,
    pauseOnFailure: policies?.pauseOnFailure,
    paused: state.paused,
    note: state.note,
    // Only by hand can it be told to fire a number of times.
    remainingActions: "remainingActions" in state ? state.remainingActions : undefined,
    workflowType: action.workflowType,
    workflowId: action.workflowId,
    taskQueue: action.taskQueue,
    args: action.args,
    workflowTaskTimeout: action.workflowTaskTimeout,
    timeouts: [action.workflowExecutionTimeout, action.workflowRunTimeout],
    searchAttributes: pairsOf(action.typedSearchAttributes),
    memo: action.memo,
    staticSummary: action.staticSummary,
  });

const pairsOf = (attributes: Options["action"]["typedSearchAttributes"]) => {
  const pairs = Array.isArray(attributes) ? attributes : (attributes?.getAll() ?? []);
  return Object.fromEntries(pairs.map(({ key, value }) => [key.name, value]));
};

/** `call` limits each call in time and turns Temporal's errors into ours. */
export const createScheduleDoor = (client: Client, call: Call): ScheduleDoor => {
  const describe = async (id: string): Promise<ScheduleDescription | undefined> => {
    try {
      return await call(() => client.schedule.getHandle(id).describe());
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    }
  };

  return {
    async ensure(wanted) {
      const options = optionsOf(wanted);
      let found = await describe(options.scheduleId);
      if (found === undefined) {
        try {
          await call(() => client.schedule.create(options));
          return "created";
        } catch (error) {
          // Another process was quicker; what it made may be older.
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          found = await describe(options.scheduleId);
        }
      }
      if (found !== undefined && comparable(found) === comparable(options)) return "kept";
      await call(() => client.schedule.getHandle(options.scheduleId).update(() => options));
      return "changed";
    },

    async remove(ref) {
      try {
        await call(() => client.schedule.getHandle(scheduleId(ref)).delete());
        return true;
      } catch (error) {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
        return false;
      }
    },

    list: () =>
      call(async () => {
        const found: FoundSchedule[] = [];
        for await (const { scheduleId: id, state, info } of client.schedule.list({ pageSize: 1_000 })) {
          const ref = parseScheduleId(id);
          if (ref !== undefined) found.push({ ...ref, paused: state.paused, hasNext: info.nextActionTimes.length > 0 });
        }
        return found;
      }),
  };
};
