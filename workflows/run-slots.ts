// The slots of one run: its own among its pipeline's runs, and those of its tasks: of connections with limits, then of a pool.

import { condition, workflowInfo } from "@temporalio/workflow";
import { verdictOf } from "../core/circuit.ts";
import { connectionOf, connectionPool, pipelinePool } from "../core/ids.ts";
import type { Plan, PlanTask } from "../core/plan.ts";
import { BACKFILL_PRIORITY } from "../core/slots.ts";
import type { AwaitedSlot, SlotSignal } from "./messages.ts";
import type { RunFacts } from "./ports.ts";
import { SlotClient } from "./slot-client.ts";

interface TaskSlots {
  readonly index: number;
  readonly task: PlanTask;
  /** Asked one after the other: all runs keep to one order, so that no two wait for each other. */
  readonly pools: readonly string[];
  readonly priority: number | undefined;
  /** How many of them it holds, from the first. */
  held: number;
  circuit?: NonNullable<SlotSignal["circuit"]>;
}

/** What the run is told of a task that asked. */
export interface SlotEvents {
  /** It holds all that it needs. */
  readonly granted: (index: number) => void;
  /** It waits for something else now. */
  readonly changed: (index: number) => void;
  /** The pool cannot be asked. */
  readonly failed: (index: number, error: unknown) => void;
}

/** Connections are in the order of their names already. */
const poolsOf = ({ pool, connections = [] }: PlanTask): readonly string[] => [
  ...connections.map(({ name }) => connectionPool(name)),
  ...(pool === undefined ? [] : [pool]),
];

export class RunSlots {
  readonly #client = new SlotClient();
  readonly #events: SlotEvents;
  /** By key. */
  readonly #tasks = new Map<string, TaskSlots>();
  /** What the items of a task wait for, by its id. */
  readonly #items = new Map<string, AwaitedSlot>();
  #entry: boolean | undefined;

  constructor(events: SlotEvents) {
    this.#events = events;
  }

  /** The run's own slot. Answers false when no further run may go on; rejects when the run is cancelled while it waits. */
  async enter({ pipeline, backfill }: RunFacts, concurrency: NonNullable<Plan["concurrency"]>): Promise<boolean> {
    const { maxRuns: capacity, strategy } = concurrency;
    // Behind every other run of the pipeline, and never instead of one: a partition that is not run now is run later.
    const place = backfill === undefined ? { otherwise: strategy } : { otherwise: "queue" as const, priority: BACKFILL_PRIORITY };
    await this.#client.acquire({ pool: pipelinePool(pipeline), capacity, key: this.#runKey, ...place });
    await condition(() => this.#entry !== undefined);
    return this.#entry === true;
  }

  leave(pipeline: string): void {
    this.#client.release({ pool: pipelinePool(pipeline), capacity: 1 }, this.#runKey);
  }

  get #runKey(): string {
    return workflowInfo().workflowId;
  }

  #keyOf({ id }: PlanTask): string {
    return `${workflowInfo().workflowId}#${id}`;
  }

  has(task: PlanTask): boolean {
    if (task.pool === undefined && task.connections === undefined) return true;
    const slots = this.#tasks.get(this.#keyOf(task));
    return slots !== undefined && slots.held === slots.pools.length;
  }

  ask(index: number, task: PlanTask, { backfill }: RunFacts): void {
    const { priority = backfill === undefined ? undefined : BACKFILL_PRIORITY } = task;
    const slots = { index, task, pools: poolsOf(task), held: 0, priority };
    this.#tasks.set(this.#keyOf(task), slots);
    this.#askNext(slots);
  }

  #askNext({ index, task, pools, held, priority }: TaskSlots): void {
    const wish = { pool: pools[held] ?? "", key: this.#keyOf(task), ...(priority === undefined ? {} : { priority }) };
    this.#client.acquire(wish).catch((error: unknown) => this.#events.failed(index, error));
  }

  itemsWait(taskId: string, awaited: AwaitedSlot | undefined): void {
    if (awaited === undefined) this.#items.delete(taskId);
    else this.#items.set(taskId, awaited);
  }

  /** Of a task that has asked and does not hold everything, or whose items all wait. */
  awaited(task: PlanTask): AwaitedSlot | undefined {
    const slots = this.#tasks.get(this.#keyOf(task));
    const pool = slots?.pools[slots.held];
    if (slots === undefined || pool === undefined) return this.#items.get(task.id);
    const connection = connectionOf(pool);
    return {
      pool,
      ...(connection === undefined ? {} : { connection }),
      ...(slots.circuit === undefined ? {} : { circuit: slots.circuit }),
    };
  }

  /** Whether it holds them or still waits; what it holds of connections with how its attempt ended, if it made one. */
  giveBack(task: PlanTask, end?: { readonly code: string | undefined }): void {
    if (task.pool === undefined && task.connections === undefined) return;
    const key = this.#keyOf(task);
    const slots = this.#tasks.get(key);
    if (slots === undefined) return;
    this.#tasks.delete(key);
    // As it asked, not as somebody may have changed the task since.
    for (const pool of slots.pools.slice(0, slots.held + 1)) {
      const use = slots.task.connections?.find(({ name }) => name === connectionOf(pool));
      const verdict = end === undefined || use === undefined ? undefined : verdictOf(end.code, use.side);
      this.#client.release({ pool }, verdict === undefined ? key : { key, verdict });
    }
  }

  receive({ pool, key, granted, circuit }: SlotSignal): void {
    if (key === this.#runKey) {
      this.#entry ??= granted;
      return;
    }
    const slots = this.#tasks.get(key);
    const place = slots?.pools.indexOf(pool) ?? -1;
    if (slots === undefined || place < 0 || place > slots.held) {
      if (granted) this.#client.release({ pool }, key);
      return;
    }
    if (place < slots.held) return;
    delete slots.circuit;
    if (granted) slots.held += 1;
    else if (circuit !== undefined) slots.circuit = circuit;
    if (slots.held === slots.pools.length) return this.#events.granted(slots.index);
    if (granted) this.#askNext(slots);
    this.#events.changed(slots.index);
  }

  /** Whether anything was asked of an owner. */
  get wereUsed(): boolean {
    return this.#client.wasUsed;
  }

  settled(): Promise<void> {
    return this.#client.settled();
  }
}
