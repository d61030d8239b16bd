// The slots that the groups of a for_each hold: of connections with limits, then of a pool, one of each for as long as a group is at work.

import { condition, getExternalWorkflowHandle, isCancellation, workflowInfo } from "@temporalio/workflow";
import { saysUnwell } from "../core/circuit.ts";
import type { PlanTask } from "../core/plan.ts";
import type { RunManner } from "../core/run-manner.ts";
import type { ItemFailure, MappedCall } from "./ports.ts";
import { type AwaitedSlot, ITEMS_SIGNAL, type ItemsSignal } from "./messages.ts";
import { RunSlots, type SlotEvents } from "./run-slots.ts";

/** Groups that ask at the same time: more of them would stand before all other tasks of their age. */
const MOST_WAITING = 4;
/** The run hears of waits that last longer: each message costs it a workflow task. */
const TOLD_AFTER_MS = 5_000;

export class ItemSlots {
  readonly #call: Pick<MappedCall, "task" | "taskId" | "run">;
  readonly #granted = new Set<number>();
  readonly #refused = new Map<number, unknown>();
  readonly #waiting = new Map<number, PlanTask>();
  readonly #slots: RunSlots;
  #group: number;
  /** Groups that wait or are at work. */
  #open = 0;

  /** `group`: how many have asked before this execution. */
  constructor(call: Pick<MappedCall, "task" | "taskId" | "run">, group: number, manner: Pick<RunManner, "patient" | "thrifty">) {
    this.#call = call;
    this.#group = group;
    const events: SlotEvents = {
      granted: (one) => void this.#granted.add(one),
      changed: () => undefined,
      failed: (one, error) => void this.#refused.set(one, error),
    };
    this.#slots = new RunSlots(events, manner);
  }

  get group(): number {
    return this.#group;
  }

  get mayAsk(): boolean {
    return this.#waiting.size < MOST_WAITING;
  }

  readonly receive: RunSlots["receive"] = (slot) => this.#slots.receive(slot);

  /** What the group waits for that asked first, if none is at work. */
  get #awaited(): AwaitedSlot | undefined {
    if (this.#waiting.size < this.#open) return undefined;
    const [first] = this.#waiting.values();
    return first === undefined ? undefined : this.#slots.awaited(first);
  }

  /** Lets the run know, for as long as this execution lasts, when all its groups wait and for what. */
  async tell(): Promise<void> {
    try {
      for (;;) {
        await condition(() => this.#awaited !== undefined);
        if (await condition(() => this.#awaited === undefined, TOLD_AFTER_MS)) continue;
        for (let told = this.#awaited; told !== undefined; told = this.#awaited) {
          await this.#send(told);
          await condition(() => this.#awaited?.pool !== told?.pool || this.#awaited?.circuit?.until !== told?.circuit?.until);
        }
        await this.#send(undefined);
      }
    } catch (error) {
      if (!isCancellation(error)) throw error;
    }
  }

  async #send(awaited: AwaitedSlot | undefined): Promise<void> {
    const run = workflowInfo().parent?.workflowId;
    if (run === undefined) return;
    const message: ItemsSignal = { taskId: this.#call.taskId, ...(awaited === undefined ? {} : { awaited }) };
    // A run that is gone needs no news.
    await getExternalWorkflowHandle(run)
      .signal(ITEMS_SIGNAL, message)
      .catch(() => undefined);
  }

  /** Carries a group out while it holds its slots, and tells the owners of connections how that went. Rejects with what keeps it from a slot. */
  async holding(carryOut: () => Promise<readonly ItemFailure[]>): Promise<void> {
    const { task, run } = this.#call;
    // Never the key of a group of an earlier execution, whose slot may still be on its way.
    const group = (this.#group += 1);
    const asking: PlanTask = { ...task, ...task.itemSlots, id: `${group}` };
    let end: { readonly code: string | undefined } | undefined;
    this.#waiting.set(group, asking);
    this.#open += 1;
    try {
      this.#slots.ask(group, asking, run);
      await condition(() => this.#granted.has(group) || this.#refused.has(group));
      if (this.#refused.has(group)) throw this.#refused.get(group);
      this.#waiting.delete(group);
      end = { code: this.#codeOf(await carryOut()) };
    } finally {
      this.#waiting.delete(group);
      this.#granted.delete(group);
      this.#refused.delete(group);
      this.#open -= 1;
      this.#slots.giveBack(asking, end);
    }
  }

  /** That of a failure which says that a connection is unwell, before all others. */
  #codeOf(failures: readonly ItemFailure[]): string | undefined {
    const unwell = failures.find(({ code }) => saysUnwell(code, this.#call.task.itemSlots?.connections));
    return (unwell ?? failures.at(-1))?.code;
  }

  /** Until everything is on its way that was given back. */
  async settled(): Promise<void> {
    if (this.#slots.wereUsed) await this.#slots.settled();
  }
}
