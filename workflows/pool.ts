// The durable owner of a pool's slots: takes requests, grants by priority and age, frees what dead owners held.

import {
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import { dropOwners, emptySlots, isCrowded, releaseSlot, requestSlot, resizeSlots, type SlotChange, type Slots } from "../core/slots.ts";
import { type AcquireSignal, POOL_QUERY, POOL_SIGNALS, type PoolState, SLOT_SIGNAL, type SlotSignal } from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import type { DagActivities } from "./ports.ts";

const { endedWorkflows } = proxyActivities<DagActivities>(INSPECT_OPTIONS);

/** A run that died without giving back is noticed within this time, sooner where somebody waits for its slot. */
const LOOK_EVERY_MS = 60_000;
const LOOK_WHILE_WAITED_FOR_MS = 10_000;

export interface PoolStart {
  readonly pool: string;
  readonly slots?: Slots;
}

export async function pool(start: PoolStart): Promise<void> {
  const owner = new PoolOwner(start);
  setHandler(defineSignal<[AcquireSignal]>(POOL_SIGNALS.acquire), (asked) => owner.acquire(asked));
  setHandler(defineSignal<[string]>(POOL_SIGNALS.release), (key) => owner.release(key));
  setHandler(defineSignal<[number]>(POOL_SIGNALS.resize), (capacity) => owner.resize(capacity));
  setHandler(defineQuery<PoolState>(POOL_QUERY), () => owner.state);
  await owner.drive();
  return continueAsNew<typeof pool>({ pool: start.pool, slots: owner.state.slots });
}

interface Mail {
  readonly owner: string;
  readonly signal: SlotSignal;
}

/** Signals that are under way; Temporal takes 2,000 and advises fewer. */
const MOST_AT_ONCE = 50;

class PoolOwner {
  readonly #pool: string;
  #slots: Slots;
  #outbox: Mail[] = [];

  constructor({ pool: name, slots = emptySlots(0) }: PoolStart) {
    this.#pool = name;
    this.#slots = slots;
  }

  get state(): PoolState {
    return { pool: this.#pool, slots: this.#slots };
  }

  acquire({ request, otherwise, capacity: known }: AcquireSignal): void {
    if (known !== undefined && known !== this.#slots.capacity) this.resize(known);
    const { holders, waiting, capacity } = this.#slots;
    const isKnown = [...holders, ...waiting].some(({ key }) => key === request.key);
    if (!isKnown && holders.length >= capacity) {
      const gives = otherwise === "skip" || otherwise === "cancel_new";
      if (gives && isCrowded(this.#slots)) return this.#tell(request.owner, request.key, false);
      const [oldest] = holders;
      // It gives its slot back when it has stopped.
      if (otherwise === "cancel_running" && oldest !== undefined)
        void getExternalWorkflowHandle(oldest.owner)
          .cancel()
          .catch(() => this.#apply(dropOwners(this.#slots, new Set([oldest.owner]), Date.now())));
    }
    this.#apply(requestSlot(this.#slots, request, Date.now()));
  }

  release(key: string): void {
    this.#apply(releaseSlot(this.#slots, key, Date.now()));
  }

  resize(capacity: number): void {
    this.#apply(resizeSlots(this.#slots, capacity, Date.now()));
  }

  #apply({ slots, granted }: SlotChange): void {
    this.#slots = slots;
    for (const { owner, key } of granted) this.#tell(owner, key, true);
    setCurrentDetails(`${slots.holders.length} of ${slots.capacity} slots held, ${slots.waiting.length} waiting`);
  }

  #tell(owner: string, key: string, granted: boolean): void {
    this.#outbox.push({ owner, signal: { pool: this.#pool, key, granted } });
  }

  /** Ends when the history is long and everybody has been told. */
  async drive(): Promise<void> {
    for (;;) {
      await this.#send();
      const { historyLength, continueAsNewSuggested } = workflowInfo();
      if (historyLength >= LIMITS.historyEvents || continueAsNewSuggested) return;
      const { holders, waiting } = this.#slots;
      const isWaitedFor = waiting.length > 0;
      const isNew = (): boolean => this.#outbox.length > 0 || (!isWaitedFor && this.#slots.waiting.length > 0);
      if (holders.length === 0 && !isWaitedFor) await condition(isNew);
      else if (!(await condition(isNew, isWaitedFor ? LOOK_WHILE_WAITED_FOR_MS : LOOK_EVERY_MS))) await this.#dropDead();
    }
  }

  async #send(): Promise<void> {
    while (this.#outbox.length > 0) await Promise.all(this.#outbox.splice(0, MOST_AT_ONCE).map((mail) => this.#deliver(mail)));
  }

  async #deliver({ owner, signal }: Mail): Promise<void> {
    try {
      await getExternalWorkflowHandle(owner).signal(SLOT_SIGNAL, signal);
    } catch {
      // Nobody is there to take it.
      this.#apply(dropOwners(this.#slots, new Set([owner]), Date.now()));
    }
  }

  async #dropDead(): Promise<void> {
    const owners = [...new Set([...this.#slots.holders, ...this.#slots.waiting].map(({ owner }) => owner))];
    try {
      const ended = await endedWorkflows(owners);
      if (ended.length > 0) this.#apply(dropOwners(this.#slots, new Set(ended), Date.now()));
    } catch {
      // No worker could look; the next round will.
    }
  }
}
