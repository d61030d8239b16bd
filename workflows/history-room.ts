// What a run may still leave in its history, so that none has more than LIMITS.historyEvents, however long an attempt lasts.

import { LIMITS } from "../core/limits.ts";

/** Attempts of the run's own begin below this length. What is above it is for what goes on while one of them lasts. */
const MOST_OF_OWN = 2_600;
/** For what people do, what the store is told, and the end. */
const SPARE = 100;
/** An activity's own, and its part of the workflow tasks'. */
export const EVENTS_OF_ATTEMPT = 3.5;
/** Of an activity or child workflow that is under way: its end, and the workflow task of that. */
const EVENTS_OF_END = 5;
/** A timer, a workflow task for it, and a child workflow's start and end, or two activities. */
const EVENTS_OF_STEP = 14;
export const EVENTS_OF_MESSAGE = 4;
/** More messages of one window would not tell sooner of much. */
const MOST_MESSAGES = 40;
/** A window's messages may take this part of what is left. */
const PART = 8;
/** Behind a step that took a hundredth of what is left, three hundredths of the time pass that the history has been long: so there is some left for days. */
const PATIENCE = 3;

/** Of a window that is open and may still send so many messages. */
export const eventsOfWindow = (messages: number): number => messages * EVENTS_OF_MESSAGE + EVENTS_OF_END;

export interface History {
  readonly length: () => number;
  /** Events that are still to come of what is under way in windows. */
  readonly owed: () => number;
}

export class HistoryRoom {
  readonly #history: History;
  #stepAt = 0;
  #lengthAtStep = 0;

  constructor(history: History) {
    this.#history = history;
  }

  /** How many attempts the run may begin itself, beside `own` that are under way. */
  forOwn(own: number): number {
    return Math.floor((MOST_OF_OWN - this.#history.length()) / EVENTS_OF_ATTEMPT) - own;
  }

  /** Events that may still be begun. */
  #left(own: number): number {
    return LIMITS.historyEvents - SPARE - this.#history.length() - own * EVENTS_OF_END - this.#history.owed();
  }

  /** How many steps have room, each with one child workflow or two activities of the run's own. */
  forSteps(own: number): number {
    return Math.floor(this.#left(own) / EVENTS_OF_STEP);
  }

  /** How many messages the next window may send. */
  messages(own: number): number {
    return Math.max(Math.min(MOST_MESSAGES, Math.floor(this.#left(own) / PART / EVENTS_OF_MESSAGE)), 0);
  }

  /** Something begins although the history is long. */
  step(): void {
    this.#stepAt = Date.now();
    this.#lengthAtStep = this.#history.length();
  }

  /** Milliseconds since 1970. `longSince`: since when the history has been long. `leastMs`: between two steps. */
  nextStepAt(own: number, longSince: number, leastMs: number): number {
    const used = Math.max(this.#history.length() - this.#lengthAtStep, EVENTS_OF_STEP);
    const part = used / Math.max(this.#left(own), 1);
    return this.#stepAt + Math.max(leastMs, (this.#stepAt - longSince) * PATIENCE * part);
  }
}
