// A run's side of its windows: opens them, hears how attempts have ended, passes cancellations on.

import { startChild, TemporalFailure, workflowInfo } from "@temporalio/workflow";
import { windowWorkflowId } from "../core/ids.ts";
import type { AttemptGroup } from "./attempt-scopes.ts";
import { eventsOfWindow } from "./history-room.ts";
import { readFailure } from "./failure.ts";
import { searchAttributesOf, WINDOW_CANCEL_SIGNAL, type WindowEnd, type WindowSignal } from "./messages.ts";
import type { RunFacts } from "./ports.ts";
import { window, type WindowInput } from "./window.ts";

type WindowGiven = Omit<WindowInput, "window">;

interface OpenWindow {
  /** Attempts that have not ended, by their tasks' places in the plan. */
  readonly left: Set<number>;
  /** That it may still send; its end is none. */
  messages: number;
  /** Groups that were cancelled before it had started. */
  cancelled: readonly AttemptGroup[];
  signal?: (groups: readonly AttemptGroup[]) => Promise<void>;
}

/** What comes of attempts. */
export interface WindowEvents {
  readonly ended: (...end: WindowEnd) => void;
  /** A bug of ours. */
  readonly broken: (error: unknown) => void;
}

export class RunWindows {
  readonly #run: RunFacts;
  readonly #events: WindowEvents;
  readonly #open = new Map<number, OpenWindow>();
  #opened: number;

  /** `opened`: by earlier executions of the run. */
  constructor(run: RunFacts, opened: number, events: WindowEvents) {
    this.#run = run;
    this.#opened = opened;
    this.#events = events;
  }

  get opened(): number {
    return this.#opened;
  }

  /** Events that what is open may still leave in the run's history. */
  get owed(): number {
    let events = 0;
    for (const { messages, left } of this.#open.values()) events += eventsOfWindow(Math.min(messages, Math.max(left.size - 1, 0)));
    return events;
  }

  /** Called in a scope that nothing cancels. */
  open(given: WindowGiven, summary: string): void {
    this.#opened += 1;
    const number = this.#opened;
    const opened: OpenWindow = {
      left: new Set(given.calls.map(({ index }) => index)),
      messages: given.mostMessages ?? 0,
      cancelled: [],
    };
    this.#open.set(number, opened);
    void this.#carryOut(number, opened, given, summary).catch(this.#events.broken);
  }

  async #carryOut(number: number, opened: OpenWindow, given: WindowGiven, summary: string): Promise<void> {
    const { pipeline, id } = this.#run;
    try {
      const child = await startChild(window, {
        workflowId: windowWorkflowId(workflowInfo().workflowId, number),
        args: [{ ...given, window: number }],
        staticSummary: summary,
        memo: { pipeline, run: id },
        typedSearchAttributes: searchAttributesOf(this.#run),
      });
      opened.signal = (groups) => child.signal(WINDOW_CANCEL_SIGNAL, groups);
      if (opened.cancelled.length > 0) void this.#tell(opened, opened.cancelled);
      this.receive({ window: number, ended: await child.result() });
    } catch (error) {
      const end = readFailure(error, false, false);
      this.receive({ window: number, ended: [...opened.left].map((index) => [index, end] as const) });
    }
    this.#open.delete(number);
  }

  receive({ window: number, ended }: WindowSignal): void {
    const opened = this.#open.get(number);
    if (opened !== undefined) opened.messages = Math.max(opened.messages - 1, 0);
    for (const [index, end] of ended) if (opened?.left.delete(index) === true) this.#events.ended(index, end);
  }

  /** Called in a scope that nothing cancels. */
  cancel(groups: readonly AttemptGroup[]): void {
    for (const opened of this.#open.values()) {
      if (opened.signal === undefined) opened.cancelled = [...opened.cancelled, ...groups];
      else void this.#tell(opened, groups);
    }
  }

  /** One that has ended meanwhile needs no word. */
  async #tell({ signal }: OpenWindow, groups: readonly AttemptGroup[]): Promise<void> {
    await signal?.(groups).catch((error: unknown) => {
      if (!(error instanceof TemporalFailure)) this.#events.broken(error);
    });
  }
}
