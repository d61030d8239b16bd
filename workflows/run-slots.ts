// The slots of one run: its own among its pipeline's runs, and those of its tasks.

import { condition, workflowInfo } from "@temporalio/workflow";
import { pipelinePool } from "../core/ids.ts";
import type { Plan, PlanTask } from "../core/plan.ts";
import { BACKFILL_PRIORITY } from "../core/slots.ts";
import type { SlotSignal } from "./messages.ts";
import type { RunFacts } from "./ports.ts";
import { SlotClient } from "./slot-client.ts";

interface TaskSlot {
  readonly index: number;
  readonly pool: string;
  granted: boolean;
}

export class RunSlots {
  readonly #client = new SlotClient();
  readonly #onGranted: (index: number) => void;
  /** By key. */
  readonly #tasks = new Map<string, TaskSlot>();
  #entry: boolean | undefined;

  constructor(onGranted: (index: number) => void) {
    this.#onGranted = onGranted;
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
    return task.pool === undefined || this.#tasks.get(this.#keyOf(task))?.granted === true;
  }

  /** Rejects when the pool cannot be asked. */
  ask(index: number, task: PlanTask, { backfill }: RunFacts): Promise<void> {
    const { pool = "", priority = backfill === undefined ? undefined : BACKFILL_PRIORITY } = task;
    const key = this.#keyOf(task);
    this.#tasks.set(key, { index, pool, granted: false });
    return this.#client.acquire({ pool, key, ...(priority === undefined ? {} : { priority }) });
  }

  /** Whether it holds the slot or still waits for it. */
  giveBack(task: PlanTask): void {
    if (task.pool === undefined) return;
    const key = this.#keyOf(task);
    if (this.#tasks.delete(key)) this.#client.release({ pool: task.pool }, key);
  }

  receive({ pool, key, granted }: SlotSignal): void {
    if (key === this.#runKey) {
      this.#entry ??= granted;
      return;
    }
    const slot = this.#tasks.get(key);
    if (slot === undefined) this.#client.release({ pool }, key);
    else if (!slot.granted) {
      slot.granted = true;
      this.#onGranted(slot.index);
    }
  }

  settled(): Promise<void> {
    return this.#client.settled();
  }
}
