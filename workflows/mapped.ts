// A task with `for_each`: its items in groups, as many at a time as its window allows, each tried again by its own account.

import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  TemporalFailure,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../core/limits.ts";
import type { Policy } from "../core/plan.ts";
import type { TaskResult } from "../core/run-changes.ts";
import type { RunManner } from "../core/run-manner.ts";
import { backoffMs, mayRetry } from "../core/run-attempts.ts";
import { ItemSlots } from "./item-slots.ts";
import { Children } from "./children.ts";
import { PAUSE_SIGNAL, type PauseSignal, SLOT_SIGNAL, type SlotSignal } from "./messages.ts";
import { itemsOptions, placementOf } from "./policies.ts";
import type { DagActivities, FailureFacts, ItemFailure, ItemsResult, MappedCall } from "./ports.ts";
import { carryOutItem, isSingle } from "./single-item.ts";

export interface MappedInput extends Pick<RunManner, "patient" | "thrifty" | "amended"> {
  readonly call: MappedCall;
  readonly policy: Policy;
  /** Absent: a run has started it that does not mind. */
  readonly minds?: true;
  readonly progress?: Progress;
}

/** Small enough to continue as new with: what has succeeded is in the store alone. */
interface Progress {
  readonly count: number;
  /** Items before it have begun. */
  readonly next: number;
  readonly done: number;
  readonly failed: number;
  readonly retries: readonly Retry[];
  /** Of the first one that failed for good. */
  readonly firstFailure?: ItemFailure;
  /** Items in a group, as large as the last ones were quick. */
  readonly size: number;
  /** Groups that have asked for slots. */
  readonly asked?: number;
  /** The run is paused: no new item begins. */
  readonly paused?: true;
}

interface Retry {
  readonly item: number;
  /** The one to come. */
  readonly attempt: number;
  readonly at: number;
}

/** Groups in flight: more of them spread the items over more workers. */
const LANES = 4;
const MOST_ITEMS = 500;
/** About as long as a group should last: a worker that dies takes no more than that with it. */
const GROUP_MS = 1_500;

/** What an item that this workflow carries out leaves in its history, its workflow tasks included: three activities, or an activity and a run. */
const EVENTS_OF_SINGLE_ITEM = 12;
/** Of all that are under way: their answers may come together, and Temporal's message limit is 4 MB. */
const BYTES_OF_SINGLE_ITEMS = 2 * 1024 * 1024;

/** It is opened with params and outputs, and an activity's input may be made of both; of a large output it reads more than the call has. */
const bytesOfSingleItem = ({ task, params, tasks }: MappedCall): number => {
  const given = JSON.stringify([params, tasks]);
  if (task.operator !== "activity") return given.length;
  return 2 * given.length + (given.includes('"$output"') ? LIMITS.activityInputBytes : 0);
};

export async function mapped(input: MappedInput): Promise<TaskResult> {
  const execution = new MappedExecution(input);
  if (input.call.task.itemSlots !== undefined)
    setHandler(defineSignal<[SlotSignal | readonly SlotSignal[]]>(SLOT_SIGNAL), (told) => execution.receiveSlot(told));
  setHandler(defineSignal<[PauseSignal]>(PAUSE_SIGNAL), (pause) => execution.hear(pause));
  const ended = await execution.drive();
  if (!ended) return continueAsNew<typeof mapped>({ ...input, progress: execution.progress });
  return execution.finish();
}

class MappedExecution {
  readonly #call: MappedCall;
  readonly #policy: Policy;
  readonly #minds: boolean;
  readonly #amended: boolean;
  readonly #window: number;
  readonly #concurrency: number;
  readonly #maxFailures: number;
  /** Each item is a group of its own, carried out by this workflow. */
  readonly #isSingle: boolean;
  readonly #slots: ItemSlots | undefined;
  readonly #children: Children;
  readonly #groups = new CancellationScope({ cancellable: true, parent: CancellationScope.current() });
  progress: Progress;
  #isPlanned: boolean;
  #isDraining = false;
  #inFlight = 0;
  #bytesOfItem: number | undefined;
  #broken: unknown;

  constructor({ call, policy, minds, progress, ...manner }: MappedInput) {
    this.#call = call;
    this.#policy = policy;
    this.#minds = minds === true;
    this.#amended = manner.amended === true;
    this.#children = new Children(this.#minds);
    const { window = 1, maxFailures = 0 } = call.task.forEach ?? {};
    this.#window = window;
    this.#isSingle = isSingle(call.task);
    this.#slots = call.task.itemSlots === undefined ? undefined : new ItemSlots(call, progress?.asked ?? 0, manner);
    // Limits count what is at work: where there are some, a group has one item at a time.
    this.#concurrency = this.#isSingle || this.#slots !== undefined ? 1 : Math.max(Math.floor(window / LANES), 1);
    this.#maxFailures = maxFailures;
    this.#isPlanned = progress !== undefined;
    this.progress = progress ?? { count: 0, next: 0, done: 0, failed: 0, retries: [], size: this.#concurrency };
  }

  receiveSlot(told: SlotSignal | readonly SlotSignal[]): void {
    this.#slots?.receive(told);
  }

  hear(pause: PauseSignal): void {
    const { paused: _, ...progress } = this.progress;
    this.progress = pause.paused ? { ...progress, paused: true } : progress;
    this.#children.tell(pause);
    this.#tell(progress.done);
  }

  get #isFailing(): boolean {
    return this.progress.failed > this.#maxFailures;
  }

  /** True: all items have ended, or too many have failed. False: the history is long and nothing runs. */
  async drive(): Promise<boolean> {
    void this.#slots?.tell();
    try {
      if (!this.#isPlanned) {
        const { count, done } = await proxyActivities<DagActivities>(this.#options(1)).planItems(this.#call);
        this.progress = { ...this.progress, count };
        this.#tell(done);
      }
      for (;;) {
        const isDraining = this.#isLong();
        if (this.#isFailing) this.#groups.cancel();
        else if (!isDraining) this.#fill();
        if (this.#inFlight === 0 && (isDraining || this.#isFailing || this.#isOver())) break;
        const before = this.#inFlight;
        const mayBegin = this.#mayBegin();
        const wakeAt = this.#isFailing || isDraining ? undefined : this.#nextRetryAt();
        const changed = (): boolean => this.#inFlight < before || this.#broken !== undefined || mayBegin !== this.#mayBegin();
        if (wakeAt === undefined) await condition(changed);
        else await condition(changed, Math.max(wakeAt - Date.now(), 1));
        if (this.#broken !== undefined) throw this.#broken;
      }
    } catch (error) {
      // A bug of ours fails the workflow task, and nothing of what it did before may reach the history.
      if (!(error instanceof TemporalFailure)) throw error;
      this.#groups.cancel();
      // Each group records what it has done before it ends.
      await CancellationScope.nonCancellable(() => condition(() => this.#inFlight === 0));
      await this.#slots?.settled();
      throw error;
    }
    if (this.#slots !== undefined) {
      await this.#slots.settled();
      this.progress = { ...this.progress, asked: this.#slots.group };
    }
    return this.#isFailing || this.#isOver();
  }

  /** Nothing begins any more: when nothing is under way, it continues as new. */
  #isLong(): boolean {
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    this.#isDraining ||= historyLength >= LIMITS.historyEvents || continueAsNewSuggested;
    this.#isDraining ||= this.#isFull && historyLength >= LIMITS.historyEvents / 2;
    return this.#isDraining;
  }

  /** One item more might leave more than the history may have: what is under way counts as if it had. */
  get #isFull(): boolean {
    if (!this.#isSingle || !this.#minds) return false;
    const items = this.#inFlight + 1;
    this.#bytesOfItem ??= bytesOfSingleItem(this.#call);
    if (items > 1 && items * this.#bytesOfItem > BYTES_OF_SINGLE_ITEMS) return true;
    return workflowInfo().historyLength + items * EVENTS_OF_SINGLE_ITEM >= LIMITS.historyEvents;
  }

  #isOver(): boolean {
    return this.progress.next >= this.progress.count && this.progress.retries.length === 0;
  }

  #nextRetryAt(): number | undefined {
    const moments = this.progress.retries.map(({ at }) => at);
    return moments.length === 0 || !this.#mayBegin() ? undefined : Math.min(...moments);
  }

  /** One more group, if there are items for it. */
  #mayBegin(): boolean {
    if (this.progress.paused || this.#isFull) return false;
    return (this.#inFlight + 1) * this.#concurrency <= this.#window && this.#slots?.mayAsk !== false;
  }

  #fill(): void {
    while (this.#mayBegin()) {
      const group = this.#takeGroup();
      if (group.length === 0) return;
      this.#inFlight += 1;
      void this.#groups.run(() => this.#run(group));
    }
  }

  #takeGroup(): readonly (readonly [number, number])[] {
    const { retries, next, count, size } = this.progress;
    const now = Date.now();
    const due = retries.filter(({ at }) => at <= now).slice(0, size);
    if (due.length > 0) {
      this.progress = { ...this.progress, retries: retries.filter((retry) => !due.includes(retry)) };
      return due.map(({ item, attempt }) => [item, attempt] as const);
    }
    // The last ones are shared among all lanes: none may go idle while another has work for many.
    const share = Math.max(Math.ceil((count - next) / Math.floor(this.#window / this.#concurrency)), this.#concurrency);
    const end = Math.min(next + Math.min(size, share), count);
    this.progress = { ...this.progress, next: end };
    return Array.from({ length: end - next }, (_, index) => [next + index, 1] as const);
  }

  async #run(items: readonly (readonly [number, number])[]): Promise<void> {
    try {
      const carryOut = async () => {
        // It may have waited for a slot when the pause came.
        if (this.progress.paused) await condition(() => this.progress.paused === undefined);
        return this.#isSingle ? this.#runSingle(items) : this.#runGroup(items);
      };
      await (this.#slots === undefined ? carryOut() : this.#slots.holding(carryOut));
    } catch (error) {
      // Groups that were told to stop have stopped.
      if (!(isCancellation(error) && this.#isFailing)) this.#broken ??= error;
    }
    this.#inFlight -= 1;
  }

  async #runSingle(items: readonly (readonly [number, number])[]): Promise<readonly ItemFailure[]> {
    const failures: ItemFailure[] = [];
    for (const [item, attempt] of items) {
      const caller = { minds: this.#minds, amended: this.#amended, children: this.#children };
      const failure = await carryOutItem({ ...this.#call, item, attempt }, this.#policy, caller);
      if (failure !== undefined) failures.push(failure);
    }
    this.#settle(new Map(items), { failures });
    return failures;
  }

  async #runGroup(items: readonly (readonly [number, number])[]): Promise<readonly ItemFailure[]> {
    const rounds = Math.ceil(items.length / this.#concurrency);
    const { runItems } = proxyActivities<DagActivities>(this.#options(rounds));
    const { milliseconds, ...ended } = await runItems({
      ...this.#call,
      items,
      concurrency: this.#concurrency,
      mayFail: this.#maxFailures - this.progress.failed,
    });
    this.#settle(new Map(items), ended);
    if (ended.left === undefined) this.#adapt(rounds, milliseconds);
    return ended.failures;
  }

  #settle(attempts: ReadonlyMap<number, number>, { failures, left = [] }: Pick<ItemsResult, "failures" | "left">): void {
    const now = Date.now();
    const retries = [...this.progress.retries, ...left.map((item) => ({ item, attempt: attempts.get(item) ?? 1, at: now }))];
    let { failed, firstFailure } = this.progress;
    for (const failure of failures) {
      const attempt = attempts.get(failure.item) ?? 1;
      if (mayRetry(this.#call.retry, attempt, failure.code)) {
        const pause = backoffMs({ ...this.#call.retry, ...this.#call.retry.on?.[failure.code] }, attempt, failure.retryAfterMs);
        retries.push({ item: failure.item, attempt: attempt + 1, at: now + pause });
      } else {
        failed += 1;
        firstFailure ??= failure;
      }
    }
    this.progress = { ...this.progress, retries, failed, ...(firstFailure === undefined ? {} : { firstFailure }) };
    this.#tell(this.progress.done + attempts.size - failures.length - left.length);
  }

  /** Quick items travel in large groups, slow ones in small: a group is the unit of what a dying worker loses. */
  #adapt(rounds: number, milliseconds: number): void {
    const inTime = Math.floor((GROUP_MS * rounds) / Math.max(milliseconds, 1));
    const size = Math.min(Math.max(inTime, 1) * this.#concurrency, this.progress.size * 4, Math.max(MOST_ITEMS, this.#concurrency));
    this.progress = { ...this.progress, size };
  }

  #tell(done: number): void {
    this.progress = { ...this.progress, done };
    const { count, failed, retries, paused } = this.progress;
    const more = [
      failed === 0 ? "" : `, ${failed} failed`,
      retries.length === 0 ? "" : `, ${retries.length} to be tried again`,
      paused ? "; paused: no new one begins" : "",
    ];
    setCurrentDetails(`${done} of ${count} items done${more.join("")}`);
  }

  #options(rounds: number) {
    const { queue, ...task } = this.#call.task;
    // Workers of the user's own know nothing of items.
    const placed = queue === undefined || this.#isSingle ? task : { ...task, queue };
    return { ...itemsOptions(this.#policy, rounds), summary: task.summary, ...placementOf(placed) };
  }

  async finish(): Promise<TaskResult> {
    const { failed, count, firstFailure } = this.progress;
    if (this.#isFailing && firstFailure !== undefined) {
      const allowed = this.#maxFailures === 0 ? "none may" : `${this.#maxFailures} may`;
      const message = `${failed} of ${count} items failed (${allowed}); item ${firstFailure.item}: ${firstFailure.code}: ${firstFailure.message}`;
      const facts: FailureFacts = { details: { failed, count } };
      throw ApplicationFailure.create({ type: "ITEMS_FAILED", message, nonRetryable: true, details: [facts] });
    }
    return proxyActivities<DagActivities>(this.#options(1)).gatherItems(this.#call);
  }
}
