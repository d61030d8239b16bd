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
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { type Circuit, circuitAt, CLOSED, gateOf, hear, UNLIMITED } from "../core/circuit.ts";
import { LIMITS } from "../core/limits.ts";
import {
  dropOwners,
  emptySlots,
  gateSlots,
  isCrowded,
  recountSlots as withTold,
  releaseSlot,
  requestSlot,
  resizeSlots,
  type SlotChange,
  type SlotRequest,
  type Slots,
} from "../core/slots.ts";
import {
  type AcquireSignal,
  type CircuitReset,
  type ConfigureSignal,
  type RecountSignal,
  type ReleaseSignal,
  POOL_QUERY,
  type PoolNote,
  POOL_SIGNALS,
  type PoolState,
  SLOT_SIGNAL,
  type SlotSignal,
} from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import type { DagActivities } from "./ports.ts";

const { endedWorkflows, recountSlots } = proxyActivities<DagActivities>(INSPECT_OPTIONS);

/** A run that died without giving back is noticed within this time, sooner where somebody waits for its slot. */
const LOOK_EVERY_MS = 60_000;
const LOOK_WHILE_WAITED_FOR_MS = 10_000;
/** In one look; of those who wait the dead are noticed when they are granted something, too. */
const MOST_LOOKED_AT = 200;
/** Each of them some 200 bytes: what a query answers stays far below Temporal's 2 MB. */
const MOST_SHOWN = 1_000;
/** In a recount. They answer with the same workers that the owner itself needs. */
const ANSWERED_WITHIN_MS = 10_000;

export interface PoolStart {
  readonly pool: string;
  readonly slots?: Slots;
  readonly breaker?: NonNullable<PoolState["breaker"]>;
  readonly reset?: CircuitReset;
  /** Who is still to be told. */
  readonly outbox?: readonly Mail[];
  /** Its history ends at the limit, whoever is still to be told. Absent: it began when everybody was told first, and its history may show that. */
  readonly brief?: true;
  /** When it last looked who is dead. */
  readonly lookedAt?: number;
  /** There was an owner before it that left nothing: nobody knows who holds but the holders. */
  readonly heir?: true;
}

export async function pool(start: PoolStart): Promise<void> {
  const owner = new PoolOwner(start);
  setHandler(defineSignal<[AcquireSignal | readonly PoolNote[]]>(POOL_SIGNALS.acquire), (told) => {
    for (const note of [told].flat()) owner.read(note);
  });
  setHandler(defineSignal<[Given | readonly Given[]]>(POOL_SIGNALS.release), (given) => {
    for (const one of [given].flat()) owner.release(one);
  });
  setHandler(defineSignal<[ConfigureSignal]>(POOL_SIGNALS.configure), (limits) => owner.configure(limits));
  setHandler(defineSignal<[CircuitReset]>(POOL_SIGNALS.reset), (reset) => owner.reset(reset));
  setHandler(defineSignal<[number]>(POOL_SIGNALS.resize), (capacity) => owner.resize(capacity));
  setHandler(defineSignal<[RecountSignal]>(POOL_SIGNALS.recount), (told) => owner.take(told));
  setHandler(defineQuery<PoolState>(POOL_QUERY), () => owner.shown);
  if (start.heir === true) await owner.recount();
  await owner.drive();
  return continueAsNew<typeof pool>(owner.handOver());
}

/** A slot's key, of a connection's slot with how its use ended. */
type Given = string | ReleaseSignal;

interface Mail {
  readonly owner: string;
  readonly signal: SlotSignal;
  readonly lists?: true;
}

/** One signal. */
interface Letter {
  readonly owner: string;
  readonly told: SlotSignal | SlotSignal[];
}

/** Signals that are under way; Temporal takes 2,000 and advises fewer. */
const MOST_AT_ONCE = 50;

const describeSlots = ({ holders, capacity, waiting }: Slots, circuit: Circuit | undefined): string => {
  const of = capacity === UNLIMITED ? "" : ` of ${capacity}`;
  const words = `${holders.length}${of} slots held, ${waiting.length} waiting`;
  return circuit === undefined ? words : `${words}; circuit ${circuit.state}`;
};

class PoolOwner {
  readonly #pool: string;
  #slots: Slots;
  #breaker: PoolState["breaker"];
  #reset: CircuitReset | undefined;
  readonly #isBrief: boolean;
  #outbox: Mail[];
  #lookedAt: number;
  /** Where the next look begins: of many owners each has its turn. */
  #lookFrom = 0;
  /** Nobody is given anything before those who hold have told so. */
  #isCounting: boolean;
  /** Who asked meanwhile. */
  #later: AcquireSignal[] = [];

  constructor({ pool: name, slots = emptySlots(0), breaker, reset, outbox = [], brief, lookedAt = Date.now(), heir }: PoolStart) {
    this.#pool = name;
    this.#isCounting = heir === true;
    this.#slots = this.#isCounting ? { ...slots, gate: 0 } : slots;
    this.#breaker = breaker;
    this.#reset = reset;
    this.#outbox = [...outbox];
    this.#isBrief = brief === true;
    this.#lookedAt = lookedAt;
  }

  /** The input of its next execution. */
  handOver(): PoolStart {
    return { ...this.state, brief: true, lookedAt: this.#lookedAt, ...(this.#outbox.length === 0 ? {} : { outbox: this.#outbox }) };
  }

  get state(): PoolState {
    return {
      pool: this.#pool,
      slots: this.#slots,
      ...(this.#breaker === undefined ? {} : { breaker: this.#breaker }),
      ...(this.#reset === undefined ? {} : { reset: this.#reset }),
    };
  }

  get shown(): PoolState {
    const { holders, waiting } = this.#slots;
    if (Math.max(holders.length, waiting.length) <= MOST_SHOWN) return this.state;
    return {
      ...this.state,
      slots: { ...this.#slots, holders: holders.slice(0, MOST_SHOWN), waiting: waiting.slice(0, MOST_SHOWN) },
      total: { holders: holders.length, waiting: waiting.length },
    };
  }

  read(note: PoolNote): void {
    if (typeof note === "string") this.release(note);
    else if ("request" in note) this.acquire(note);
    else if ("holders" in note) this.take(note);
    else this.release(note);
  }

  acquire(asked: AcquireSignal): void {
    if (this.#isCounting) {
      this.#later.push(asked);
      return;
    }
    const { request, otherwise, capacity: known } = asked;
    if (known !== undefined && known !== this.#slots.capacity) this.resize(known);
    const { holders, waiting, capacity } = this.#slots;
    const isKnown = [...holders, ...waiting].some(({ key }) => key === request.key);
    if (!isKnown && holders.length >= capacity) {
      const gives = otherwise === "skip" || otherwise === "cancel_new";
      if (gives && isCrowded(this.#slots)) return this.#tell(request, { granted: false });
      const [oldest] = holders;
      // It gives its slot back when it has stopped.
      if (otherwise === "cancel_running" && oldest !== undefined)
        void getExternalWorkflowHandle(oldest.owner)
          .cancel()
          .catch(() => this.#apply(dropOwners(this.#slots, new Set([oldest.owner]), Date.now())));
    }
    this.#tick();
    this.#apply(requestSlot(this.#slots, request, Date.now()));
    if (this.#slots.waiting.some(({ key }) => key === request.key)) this.#tellOfCircuit([request]);
  }

  take(told: RecountSignal): void {
    this.#apply({ slots: withTold(this.#slots, told), granted: [] });
  }

  release(given: Given): void {
    const { key, verdict } = typeof given === "string" ? { key: given, verdict: "unknown" as const } : given;
    this.#later = this.#later.filter(({ request }) => request.key !== key);
    const holder = this.#slots.holders.find((one) => one.key === key);
    // Before the slot is free: what opens the circuit lets nobody else through.
    if (holder !== undefined && this.#breaker !== undefined) {
      const { policy, circuit } = this.#breaker;
      this.#turn(hear(circuit, policy, verdict, holder.since, Date.now()));
    }
    this.#apply(releaseSlot(this.#slots, key, Date.now()));
  }

  configure({ capacity, breaker }: ConfigureSignal): void {
    this.#breaker = breaker === undefined ? undefined : { policy: breaker, circuit: this.#breaker?.circuit ?? CLOSED };
    this.#apply(gateSlots({ ...this.#slots, capacity }, this.#gate, Date.now()));
  }

  get #gate(): number | undefined {
    return this.#isCounting ? 0 : this.#breaker && gateOf(this.#breaker.circuit);
  }

  reset(reset: CircuitReset): void {
    this.#reset = reset;
    this.#turn(CLOSED);
  }

  /** What time alone changes. */
  #tick(): void {
    if (this.#breaker !== undefined) this.#turn(circuitAt(this.#breaker.circuit, Date.now()));
  }

  #turn(circuit: Circuit): void {
    if (this.#breaker === undefined || this.#breaker.circuit === circuit) return;
    const wasOpen = this.#breaker.circuit.state === "open";
    this.#breaker = { ...this.#breaker, circuit };
    this.#apply(gateSlots(this.#slots, this.#gate, Date.now()));
    if (!wasOpen) this.#tellOfCircuit(this.#slots.waiting);
  }

  /** Those who wait since it is open say so. */
  #tellOfCircuit(waiting: readonly SlotRequest[]): void {
    const circuit = this.#breaker?.circuit;
    if (circuit?.state !== "open") return;
    const { since, until } = circuit;
    for (const request of waiting) this.#tell(request, { granted: false, circuit: { since, until } });
  }

  resize(capacity: number): void {
    this.#apply(resizeSlots(this.#slots, capacity, Date.now()));
  }

  #apply({ slots, granted }: SlotChange): void {
    this.#slots = slots;
    for (const holder of granted) this.#tell(holder, { granted: true });
    setCurrentDetails(describeSlots(slots, this.#breaker?.circuit));
  }

  #tell({ owner, key, lists }: SlotRequest, answer: Pick<SlotSignal, "granted" | "circuit">): void {
    this.#outbox.push({ owner, signal: { pool: this.#pool, key, ...answer }, ...(lists === undefined ? {} : { lists }) });
  }

  /** All that may hold or wait are asked; until they have answered, nobody is given anything. */
  async recount(): Promise<void> {
    while (!(await this.#haveBeenAsked())) await sleep(ANSWERED_WITHIN_MS);
    await sleep(ANSWERED_WITHIN_MS);
    this.#isCounting = false;
    for (const asked of this.#later.splice(0)) this.acquire(asked);
    this.#apply(gateSlots(this.#slots, this.#gate, Date.now()));
  }

  async #haveBeenAsked(): Promise<boolean> {
    try {
      await recountSlots({ pool: this.#pool });
      return true;
    } catch {
      // Temporal would not list or tell them; the next time it will.
      return false;
    }
  }

  /** Ends when the history is long and nothing is under way. */
  async drive(): Promise<void> {
    for (;;) {
      await this.#send();
      if (this.#isLong()) return;
      const { holders, waiting } = this.#slots;
      const isWaitedFor = waiting.length > 0;
      const isNew = (): boolean => this.#outbox.length > 0 || (!isWaitedFor && this.#slots.waiting.length > 0);
      if (holders.length === 0 && !isWaitedFor) {
        await condition(isNew);
        this.#lookedAt = Date.now();
      } else {
        const lookMs = isWaitedFor ? LOOK_WHILE_WAITED_FOR_MS : LOOK_EVERY_MS;
        const opensMs = isWaitedFor ? this.#opensAgainIn() : Infinity;
        // Counted from the last look: traffic must not keep the dead in their places.
        const leftMs = Math.max(this.#lookedAt + lookMs - Date.now(), 1);
        if (await condition(isNew, Math.min(leftMs, opensMs))) {
          if (this.#lookedAt + lookMs > Date.now()) continue;
          await Promise.all([this.#send(), this.#dropDead()]);
        } else if (opensMs <= leftMs) this.#tick();
        else await this.#dropDead();
      }
    }
  }

  #opensAgainIn(): number {
    const circuit = this.#breaker?.circuit;
    return circuit?.state === "open" ? Math.max(circuit.until - Date.now(), 1) : Infinity;
  }

  #isLong(): boolean {
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    return historyLength >= LIMITS.historyEvents || continueAsNewSuggested;
  }

  async #send(): Promise<void> {
    while (this.#outbox.length > 0 && !(this.#isBrief && this.#isLong()))
      await Promise.all(this.#nextLetters().map((letter) => this.#deliver(letter)));
  }

  #nextLetters(): readonly Letter[] {
    const letters: Letter[] = [];
    const lists = new Map<string, SlotSignal[]>();
    while (letters.length < MOST_AT_ONCE) {
      const mail = this.#outbox.shift();
      if (mail === undefined) break;
      const { owner, signal } = mail;
      const list = lists.get(owner);
      if (mail.lists === undefined) letters.push({ owner, told: signal });
      else if (list !== undefined) list.push(signal);
      else {
        const told = [signal];
        lists.set(owner, told);
        letters.push({ owner, told });
      }
    }
    return letters;
  }

  async #deliver({ owner, told }: Letter): Promise<void> {
    try {
      await getExternalWorkflowHandle(owner).signal(SLOT_SIGNAL, told);
    } catch {
      // Nobody is there to take it.
      this.#apply(dropOwners(this.#slots, new Set([owner]), Date.now()));
    }
  }

  async #dropDead(): Promise<void> {
    this.#lookedAt = Date.now();
    const all = [...new Set([...this.#slots.holders, ...this.#slots.waiting].map(({ owner }) => owner))];
    const from = all.length > MOST_LOOKED_AT ? this.#lookFrom % all.length : 0;
    const owners = [...all.slice(from), ...all.slice(0, from)].slice(0, MOST_LOOKED_AT);
    this.#lookFrom = from + owners.length;
    try {
      const ended = await endedWorkflows(owners);
      if (ended.length > 0) this.#apply(dropOwners(this.#slots, new Set(ended), Date.now()));
    } catch {
      // No worker could look; the next round will.
    }
  }
}
