// What a run may leave in its history while an attempt lasts, over days, by a made-up clock.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../core/limits.ts";
import { EVENTS_OF_MESSAGE, HistoryRoom } from "../../workflows/history-room.ts";

const HOUR = 3_600_000;
/** What was seen of a window with one attempt: its start and end, and the workflow tasks of these. */
const SEEN_OF_STEP = 9;
const EVENTS_OF_TIMER = 5;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * One window after the other, each as soon as it may, beside one attempt of the run's own. Each sends all messages that it may before the next one opens.
 * Answers the history's length, and how many windows there were.
 */
const stepsFor = (milliseconds: number, each: { readonly attempts: number }): { readonly length: number; readonly steps: number } => {
  let length = 2_600;
  let steps = 0;
  const room = new HistoryRoom({ length: () => length, owed: () => 0 });
  while (Date.now() < milliseconds && room.forSteps(1) > 0) {
    room.step(1, 0);
    length += SEEN_OF_STEP;
    for (let message = 0; message < Math.min(room.messages(1), each.attempts - 1); message += 1) {
      room.hear(1);
      length += EVENTS_OF_MESSAGE;
    }
    steps += 1;
    vi.setSystemTime(room.nextStepAt);
    length += EVENTS_OF_TIMER;
    expect(room.nextStepAt).toBe(Date.now());
  }
  return { length, steps };
};

describe("the room of a history", () => {
  it("has some left for a step more after a day, or after as many attempts as a run has tasks", () => {
    for (const attempts of [1, 2, 10, 800]) {
      const { length, steps } = stepsFor(24 * HOUR, { attempts });
      if (steps * attempts < LIMITS.tasks) expect(Date.now(), `${steps} steps of ${attempts}`).toBeGreaterThanOrEqual(24 * HOUR);
      expect(length).toBeLessThan(LIMITS.historyEvents);
      vi.setSystemTime(0);
    }
  });

  it("is used early, when little has been waited for", () => {
    expect(stepsFor(60_000, { attempts: 1 }).steps).toBeGreaterThan(40);
    vi.setSystemTime(0);
    expect(stepsFor(HOUR, { attempts: 1 }).steps).toBeGreaterThan(70);
  });

  it("lets attempts of the run's own begin as long as all of them leave it", () => {
    let length = 0;
    const room = new HistoryRoom({ length: () => length, owed: () => 0 });
    let own = 0;
    for (let began = 0; began < 10_000; began += 1) {
      if (room.forOwn(own) <= 0) break;
      own += 1;
      // At worst each has a workflow task for its start and one for its end.
      if (own === LIMITS.activitiesInFlight) {
        own -= 1;
        length += 6;
      }
    }
    expect(length + own * 5).toBeLessThan(LIMITS.historyEvents - 300);
    expect(room.forSteps(own)).toBeGreaterThan(0);
  });
});
