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
/** What becomes ready meanwhile begins together. */
const LEAST_MS = 1_000;

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
  #longFor = 0;
  #heardSince = 0;
  #nextStepAt = 0;

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

  /** Something begins although the history is long. `longSince`: since when it has been, milliseconds since 1970. */
  step(own: number, longSince: number): void {
    this.#stepAt = Date.now();
    this.#longFor = this.#stepAt - longSince;
    this.#heardSince = 0;
    this.#reckon(own);
  }

  /** A window has told of ends. */
  hear(own: number): void {
    this.#heardSince += 1;
    this.#reckon(own);
  }

  /** Not whenever it is asked: the timer that waits for this moment is an event too, and must not move it. */
  #reckon(own: number): void {
    const used = EVENTS_OF_STEP + this.#heardSince * EVENTS_OF_MESSAGE;
    const part = used / Math.max(this.#left(own), 1);
    this.#nextStepAt = this.#stepAt + Math.max(LEAST_MS, Math.ceil(this.#longFor * PATIENCE * part));
  }

  /** Milliseconds since 1970. */
  get nextStepAt(): number {
    return this.#nextStepAt;
  }
}
