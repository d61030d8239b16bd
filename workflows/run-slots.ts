// The slots of one run: its own among its pipeline's runs, and those of its tasks: of connections with limits, then of a pool.

import { CancellationScope, condition, sleep, workflowInfo } from "@temporalio/workflow";
import { verdictOf } from "../core/circuit.ts";
import { connectionOf, connectionPool, pipelinePool } from "../core/ids.ts";
import type { Plan, PlanTask } from "../core/plan.ts";
import type { RunManner } from "../core/run-manner.ts";
import { BACKFILL_PRIORITY, slotPriority, type SlotHolder } from "../core/slots.ts";
import type { AwaitedSlot, SlotSignal } from "./messages.ts";
import type { RunFacts } from "./ports.ts";
import { SlotClient, type SlotWish } from "./slot-client.ts";
import { SlotLines } from "./slot-lines.ts";

/** Who asks once more costs an owner and a run some events: the pauses grow. */
const AGAIN_AFTER_MS = 60_000;
const AGAIN_AFTER_AT_MOST_MS = 600_000;
/**
 * So long a task may hold one slot while it waits for another. Much shorter where it waits against the order that all keep to: of tasks that wait for each
 * other at least one does, and it gives in long before the others.
 */
const HOLDS_FOR_MS = 30_000;
const HOLDS_AGAINST_ORDER_FOR_MS = 5_000;

/** A run that waits for its turn no longer than this does not say so. */
const WAITS_AFTER_MS = 1_000;

/** When an owner was asked, and how long nobody asks it again. */
interface Asked {
  at: number;
  pauseMs: number;
}

interface TaskSlots {
  readonly index: number;
  readonly task: PlanTask;
  readonly key: string;
  readonly priority: number;
  /** Its age, wherever it waits. */
  readonly since: number;
  /** Asked one after the other. */
  pools: readonly string[];
  /** How many of them it holds, from the first. */
  held: number;
  /** Since when it waits for the next one. */
  waitsSince: number;
  asked?: Asked;
  circuit?: NonNullable<SlotSignal["circuit"]>;
}

interface Place {
  readonly wish: SlotWish;
  readonly since: number;
  readonly asked: Asked;
}

/** What the run is told of a task that asked. */
export interface SlotEvents {
  /** It holds all that it needs. */
  readonly granted: (index: number) => void;
  /** It waits for something else now. */
  readonly changed: (index: number) => void;
  /** The pool cannot be asked. */
  readonly failed: (index: number, error: unknown) => void;
  /** Whether a further task may ask; what is asked before a run continues as new is asked again after it. Absent: always. */
  readonly mayAsk?: () => boolean;
}

/** In the order that all runs keep to, so that no two wait for each other. Connections are in the order of their names already. */
const poolsOf = ({ pool, connections = [] }: PlanTask): readonly string[] => [
  ...connections.map(({ name }) => connectionPool(name)),
  ...(pool === undefined ? [] : [pool]),
];

const firstAsked = (): Asked => ({ at: Date.now(), pauseMs: AGAIN_AFTER_MS });

export class RunSlots {
  readonly #client: SlotClient;
  readonly #events: SlotEvents;
  readonly #isPatient: boolean;
  /** By key. */
  readonly #tasks = new Map<string, TaskSlots>();
  readonly #lines: SlotLines<TaskSlots>;
  /** What the items of a task wait for, by its id. */
  readonly #items = new Map<string, AwaitedSlot>();
  #place: Place | undefined;
  #entry: boolean | undefined;
  #wakesAt = Infinity;

  constructor(events: SlotEvents, manner: Pick<RunManner, "patient" | "thrifty">) {
    this.#events = events;
    this.#isPatient = manner.patient === true;
    this.#client = new SlotClient(manner);
    const { mayAsk = () => true } = events;
    this.#lines = new SlotLines((slots) => this.#ask(slots), this.#isPatient ? mayAsk : undefined);
  }

  /**
   * The run's own slot. Answers false when no further run may go on; rejects when the run is cancelled while it waits. `waits` is called where it has waited
   * for a while.
   */
  async enter(facts: RunFacts, concurrency: NonNullable<Plan["concurrency"]>, waits?: () => void): Promise<boolean> {
    const place = this.#takePlace(facts, concurrency);
    await this.#client.acquire(place.wish);
    this.#wakeAt(place.asked.at + place.asked.pauseMs);
    const isAnswered = (): boolean => this.#entry !== undefined;
    if (waits !== undefined && !(await condition(isAnswered, WAITS_AFTER_MS))) waits();
    await condition(isAnswered);
    return this.#entry === true;
  }

  /** It has entered before this execution. */
  stay(facts: RunFacts, concurrency: NonNullable<Plan["concurrency"]>): void {
    this.#takePlace(facts, concurrency);
    this.#entry = true;
  }

  #takePlace({ pipeline, backfill }: RunFacts, { maxRuns: capacity, strategy }: NonNullable<Plan["concurrency"]>): Place {
    // Behind every other run of the pipeline, and never instead of one: a partition that is not run now is run later.
    const rank = backfill === undefined ? { otherwise: strategy } : { otherwise: "queue" as const, priority: BACKFILL_PRIORITY };
    const wish = { pool: pipelinePool(pipeline), capacity, key: this.#runKey, ...rank };
    this.#place = { wish, since: Date.now(), asked: firstAsked() };
    return this.#place;
  }

  leave(pipeline: string): void {
    this.#place = undefined;
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

  /** `since`: the task has been ready since then. */
  ask(index: number, task: PlanTask, { backfill, priority: ofRun }: RunFacts, since = Date.now()): void {
    const key = this.#keyOf(task);
    const priority = slotPriority(task.priority ?? ofRun, backfill !== undefined);
    const slots: TaskSlots = { index, task, key, priority, since, pools: poolsOf(task), held: 0, waitsSince: since };
    this.#tasks.set(key, slots);
    this.#askNext(slots);
  }

  #askNext(slots: TaskSlots): void {
    delete slots.asked;
    slots.waitsSince = Date.now();
    this.#lines.join(slots.pools[slots.held] ?? "", slots);
    this.#wakeAt(this.#dueAt(slots));
  }

  #ask(slots: TaskSlots): void {
    slots.asked = firstAsked();
    delete slots.circuit;
    this.#wakeAt(this.#dueAt(slots));
    this.#client.acquire(this.#wishOf(slots)).catch((error: unknown) => this.#events.failed(slots.index, error));
  }

  /** Tasks may ask again that might not before. */
  goOn(): void {
    this.#lines.goOn();
  }

  #wishOf({ pools, held, key, priority, since }: TaskSlots): SlotWish {
    return { pool: pools[held] ?? "", key, priority, since };
  }

  itemsWait(taskId: string, awaited: AwaitedSlot | undefined): void {
    if (awaited === undefined) this.#items.delete(taskId);
    else this.#items.set(taskId, awaited);
  }

  /** Of a task that waits for a slot and does not hold everything, or whose items all wait. */
  awaited(task: PlanTask): AwaitedSlot | undefined {
    const slots = this.#tasks.get(this.#keyOf(task));
    const pool = slots?.pools[slots.held];
    if (slots === undefined || pool === undefined) return this.#items.get(task.id);
    const connection = connectionOf(pool);
    const { circuit } = slots;
    return { pool, ...(connection === undefined ? {} : { connection }), ...(circuit === undefined ? {} : { circuit }) };
  }

  /** Whether it holds them or still waits; what it holds of connections with how its attempt ended, if it made one. */
  giveBack(task: PlanTask, end?: { readonly code: string | undefined }): void {
    if (task.pool === undefined && task.connections === undefined) return;
    const slots = this.#tasks.get(this.#keyOf(task));
    if (slots === undefined) return;
    const { key, pools, held, asked } = slots;
    this.#tasks.delete(key);
    // As it asked, not as somebody may have changed the task since.
    for (const pool of pools.slice(0, asked === undefined ? held : held + 1)) {
      const use = slots.task.connections?.find(({ name }) => name === connectionOf(pool));
      const verdict = end === undefined || use === undefined ? undefined : verdictOf(end.code, use.side);
      this.#client.release({ pool }, verdict === undefined ? key : { key, verdict });
    }
    this.#lines.leave(pools[held] ?? "", slots);
  }

  receive(told: SlotSignal | readonly SlotSignal[]): void {
    for (const one of [told].flat()) {
      if (Array.isArray(told)) this.#client.noteList(one.pool);
      this.#receive(one);
    }
  }

  #receive({ pool, key, granted, circuit, recount }: SlotSignal): void {
    if (recount === true) return this.#recount(pool);
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
    if (granted) this.#take(pool, slots);
    else if (circuit !== undefined) this.#hearOfCircuit(pool, slots, circuit);
    if (slots.held === slots.pools.length) return this.#events.granted(slots.index);
    this.#events.changed(slots.index);
  }

  #take(pool: string, slots: TaskSlots): void {
    delete slots.circuit;
    slots.held += 1;
    this.#lines.leave(pool, slots);
    if (slots.held < slots.pools.length) this.#askNext(slots);
    else delete slots.asked;
  }

  #hearOfCircuit(pool: string, slots: TaskSlots, circuit: NonNullable<SlotSignal["circuit"]>): void {
    slots.circuit = circuit;
    if (this.#isPatient && slots.held > 0) this.#stepBack(slots);
    // Nobody else tells those who have not asked.
    for (const one of this.#lines.behind(pool)) {
      if (one.circuit?.until === circuit.until) continue;
      one.circuit = circuit;
      this.#events.changed(one.index);
    }
  }

  /** It gives back what it holds, and asks for that again when it has what keeps it waiting; there it keeps its place. */
  #stepBack(slots: TaskSlots): void {
    const { key, task, pools, held } = slots;
    const awaited = pools[held] ?? "";
    for (const pool of pools.slice(0, held)) this.#client.release({ pool }, key);
    slots.pools = [awaited, ...poolsOf(task).filter((pool) => pool !== awaited)];
    slots.held = 0;
  }

  /** What waits next looks after itself; one timer is enough, an earlier one looks again. */
  #wakeAt(moment: number): void {
    if (!this.#isPatient || moment >= this.#wakesAt) return;
    this.#wakesAt = moment;
    void CancellationScope.nonCancellable(async () => {
      await sleep(Math.max(moment - Date.now(), 1), { summary: "looks who waits for slots" });
      if (this.#wakesAt !== moment) return;
      this.#wakesAt = Infinity;
      this.#look();
    });
  }

  #dueAt({ task, pools, held, waitsSince, asked }: TaskSlots): number {
    if (held === pools.length) return Infinity;
    const againAt = asked === undefined ? Infinity : asked.at + asked.pauseMs;
    if (held === 0) return againAt;
    const order = poolsOf(task);
    const isInOrder = Math.max(...pools.slice(0, held).map((pool) => order.indexOf(pool))) < order.indexOf(pools[held] ?? "");
    return Math.min(againAt, waitsSince + (isInOrder ? HOLDS_FOR_MS : HOLDS_AGAINST_ORDER_FOR_MS));
  }

  #look(): void {
    const now = Date.now();
    const isDue = ({ at, pauseMs }: Asked): boolean => at + pauseMs <= now;
    let next = Infinity;
    for (const slots of this.#tasks.values()) {
      if (this.#dueAt(slots) <= now) {
        if (slots.asked !== undefined && isDue(slots.asked)) this.#askAgain(slots.asked, this.#wishOf(slots));
        else this.#stepBack(slots);
      }
      next = Math.min(next, this.#dueAt(slots));
    }
    if (this.#place !== undefined && this.#entry === undefined) {
      const { asked, wish } = this.#place;
      if (isDue(asked)) this.#askAgain(asked, wish);
      next = Math.min(next, asked.at + asked.pauseMs);
    }
    this.#wakeAt(next);
  }

  /** Its owner may have lost all that it knew. Who cannot be asked now can be later. */
  #askAgain(asked: Asked, wish: SlotWish): void {
    asked.at = Date.now();
    asked.pauseMs = Math.min(asked.pauseMs * 2, AGAIN_AFTER_AT_MOST_MS);
    this.#client.acquireAgain(wish).catch(() => undefined);
  }

  #recount(pool: string): void {
    const holders: SlotHolder[] = [];
    const waiting: SlotHolder[] = [];
    const mine = { owner: this.#runKey, ...this.#client.marks };
    for (const { key, priority, since, pools, held, asked } of this.#tasks.values()) {
      const place = pools.indexOf(pool);
      if (place >= 0 && place < held) holders.push({ ...mine, key, priority, since });
      else if (place === held && asked !== undefined) waiting.push({ ...mine, key, priority, since });
    }
    if (this.#place?.wish.pool === pool && this.#entry !== false) {
      const { wish, since } = this.#place;
      (this.#entry === true ? holders : waiting).push({ ...mine, key: wish.key, priority: slotPriority(wish.priority), since });
    }
    if (holders.length + waiting.length > 0) this.#client.tell({ pool }, { holders, waiting });
  }

  /** Whether anything was asked of an owner. */
  get wereUsed(): boolean {
    return this.#client.wasUsed;
  }

  settled(): Promise<void> {
    return this.#client.settled();
  }

  /**
   * Before the run continues as new: the next execution knows nothing of what is held, and who stands behind others would hold what they wait for. What is granted
   * meanwhile goes back as well.
   */
  async handBack(): Promise<void> {
    if (!this.#isPatient) return;
    for (;;) {
      for (const { task, held } of this.#tasks.values()) if (held > 0) this.giveBack(task);
      await this.settled();
      if ([...this.#tasks.values()].every(({ held }) => held === 0)) return;
    }
  }
}
