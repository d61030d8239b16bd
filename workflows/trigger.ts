// The durable owner of an event trigger: holds the ids of events that wait, and has runs started for them when they are due.

import {
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertMemo,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import { dueAt, sizeOfNext, type TriggerSettings, type WaitingEvent } from "../core/trigger.ts";
import { TRIGGER_QUERY, TRIGGER_SIGNALS, type TriggerInput, type TriggerState } from "./messages.ts";
import { START_EVENTS_OPTIONS, WATCH_OPTIONS } from "./policies.ts";
import type { DagActivities, TriggerEvent } from "./ports.ts";

const { startEventRuns, waitingEvents } = proxyActivities<DagActivities>(START_EVENTS_OPTIONS);
const { watchEvents } = proxyActivities<DagActivities>(WATCH_OPTIONS);

/** Runs that one call starts: a call that is repeated repeats few. */
const MOST_STARTS = 20;
/** Events that one look at the store brings. */
const LOOK_SIZE = 2_000;
/** What holds all runs back, such as a paused pipeline, is asked again so much later. */
const HOLD_MS = 15_000;

export async function trigger(input: TriggerInput): Promise<void> {
  const owner = new TriggerOwner(input);
  setHandler(defineSignal<[TriggerSettings]>(TRIGGER_SIGNALS.configure), (settings) => owner.configure(settings));
  setHandler(defineSignal<[TriggerEvent]>(TRIGGER_SIGNALS.event), (event) => owner.take(event));
  setHandler(defineQuery<TriggerState>(TRIGGER_QUERY), () => owner.state);
  await owner.live();
  return continueAsNew<typeof trigger>(owner.handOver());
}

class TriggerOwner {
  #settings: TriggerSettings;
  #waiting: WaitingEvent[];
  #known: Set<string>;
  /** The store may have events that are not among those that wait here. */
  #looks: boolean;
  #told: Pick<TriggerState, "lastEventAt" | "lastRun">;
  #heldFor: string | undefined;
  #heldUntil = 0;
  #changes = 0;
  /** Of the last look for events that do not come by themselves. */
  #mark: number;
  #watching: CancellationScope | undefined;
  #isEnding = false;

  constructor({ settings, waiting = [], looks = true, told = {}, mark = 0 }: TriggerInput) {
    this.#settings = settings;
    this.#waiting = [...waiting];
    this.#known = new Set(waiting.map(({ id }) => id));
    this.#looks = looks;
    this.#told = told;
    this.#mark = mark;
  }

  get state(): TriggerState {
    return { waiting: this.#waiting.length, ...this.#told, ...(this.#heldFor === undefined ? {} : { heldFor: this.#heldFor }) };
  }

  configure(settings: TriggerSettings): void {
    this.#settings = settings;
    upsertMemo({ settings });
    this.#heldUntil = 0;
    this.#looks = true;
    this.#changes += 1;
    this.#watching?.cancel();
  }

  take({ id, subject }: TriggerEvent): void {
    this.#told = { ...this.#told, lastEventAt: new Date(Date.now()).toISOString() };
    this.#changes += 1;
    const isMissing = subject !== undefined && !this.#waiting.some((one) => one.subject === subject);
    if (this.#waiting.length < LIMITS.eventsWaiting || isMissing)
      this.#add({ id, ...(subject === undefined ? {} : { subject }), at: Date.now() });
    else this.#looks = true;
  }

  /** Answers whether it was not there yet. */
  #add(event: WaitingEvent): boolean {
    if (this.#known.has(event.id)) return false;
    this.#known.add(event.id);
    this.#waiting.push(event);
    return true;
  }

  /** Until the history is long. */
  async live(): Promise<void> {
    const watching = this.#watch();
    try {
      await Promise.race([this.#drive(), watching]);
    } finally {
      this.#isEnding = true;
      this.#watching?.cancel();
    }
    await watching;
  }

  async #drive(): Promise<void> {
    for (;;) {
      const { historyLength, continueAsNewSuggested } = workflowInfo();
      if (historyLength >= LIMITS.historyEvents / 2 || continueAsNewSuggested) return;
      const seen = this.#changes;
      if (this.#looks && this.#waiting.length < LIMITS.eventsWaiting / 2) await this.#look();
      const batches = this.#isHeld() ? [] : this.#takeDue();
      if (batches.length > 0) {
        await this.#start(batches);
        continue;
      }
      setCurrentDetails(`${this.#waiting.length} events wait${this.#heldFor === undefined ? "" : `: ${this.#heldFor}`}`);
      const isNew = (): boolean => this.#changes !== seen;
      const next = this.#nextAt();
      if (next === undefined) await condition(isNew);
      else await condition(isNew, Math.max(next - Date.now(), 1));
    }
  }

  #isHeld(): boolean {
    return this.#settings.paused || Date.now() < this.#heldUntil;
  }

  #nextAt(): number | undefined {
    const due = dueAt(this.#waiting, this.#settings.timing);
    return due === undefined || this.#settings.paused ? undefined : Math.max(due, this.#heldUntil);
  }

  #takeDue(): readonly (readonly WaitingEvent[])[] {
    const { timing } = this.#settings;
    const batches: WaitingEvent[][] = [];
    while (batches.length < MOST_STARTS && (dueAt(this.#waiting, timing) ?? Infinity) <= Date.now())
      batches.push(this.#waiting.splice(0, sizeOfNext(this.#waiting, timing)));
    return batches;
  }

  async #start(batches: readonly (readonly WaitingEvent[])[]): Promise<void> {
    const { pipeline, name } = this.#settings;
    let done = 0;
    try {
      const { runs, heldFor } = await startEventRuns({ pipeline, name, batches: batches.map((batch) => batch.map(({ id }) => id)) });
      done = runs.length;
      const lastRun = runs.findLast((run) => run !== null);
      if (typeof lastRun === "string") this.#told = { ...this.#told, lastRun };
      this.#heldFor = heldFor;
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#heldFor = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
    }
    for (const { id } of batches.slice(0, done).flat()) this.#known.delete(id);
    this.#waiting.unshift(...batches.slice(done).flat());
    if (this.#heldFor !== undefined) this.#heldUntil = Date.now() + HOLD_MS;
  }

  async #look(): Promise<void> {
    const { pipeline, name } = this.#settings;
    this.#looks = false;
    try {
      const found = await waitingEvents({ pipeline, name, limit: LOOK_SIZE });
      const added = found.filter((event) => this.#add(event));
      this.#waiting.sort((left, right) => left.at - right.at);
      if (added.length > 0 && found.length === LOOK_SIZE) this.#looks = true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#looks = true;
    }
  }

  #watches(): boolean {
    const { everyMs, paused } = this.#settings;
    return everyMs !== undefined && !paused && this.#waiting.length < LIMITS.eventsWaiting / 2;
  }

  /** Looks for events that do not come by themselves, for as long as the execution lasts. */
  async #watch(): Promise<void> {
    for (;;) {
      await condition(() => this.#isEnding || this.#watches());
      if (this.#isEnding) return;
      const { pipeline, name } = this.#settings;
      this.#watching = new CancellationScope();
      try {
        const { mark } = await this.#watching.run(() => watchEvents({ pipeline, name, mark: this.#mark }));
        this.#mark = mark;
        this.#looks = true;
        this.#changes += 1;
      } catch (error) {
        // Interrupted: the settings are others now, or the execution ends.
        if (!isCancellation(error)) await sleep(HOLD_MS);
      }
    }
  }

  handOver(): TriggerInput {
    return { settings: this.#settings, waiting: this.#waiting, looks: this.#looks, told: this.#told, mark: this.#mark };
  }
}
