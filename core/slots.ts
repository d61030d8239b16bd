// Slots of a pool: who holds them, who waits. Plain state, changed only here; its durable owner is the pool's workflow.

export interface SlotRequest {
  /** Names the holder: the same request twice is one. */
  readonly key: string;
  /** The workflow that must be alive for the slot to be held. */
  readonly owner: string;
  /** From 1, the most urgent. */
  readonly priority: number;
  /** Its age among those that wait, in milliseconds since 1970; absent: it is as old as its request. */
  readonly since?: number;
  /** Its owner takes several answers at once. */
  readonly lists?: true;
}

/** Of a task that says nothing. */
export const DEFAULT_PRIORITY = 3;

/** Of a backfill's runs, and of their most urgent tasks: behind all others, which wait with 1 to 5. */
export const BACKFILL_PRIORITY = 6;

/** `own`: the task's, 1 to 5; within a backfill it orders its tasks among themselves alone. */
export const slotPriority = (own = DEFAULT_PRIORITY, isBackfill = false): number => (isBackfill ? BACKFILL_PRIORITY - 1 + own : own);

export interface SlotHolder extends SlotRequest {
  readonly since: number;
}

export interface Slots {
  readonly capacity: number;
  /** For the time being not more than so many, whatever the capacity; absent: no such bound. */
  readonly gate?: number;
  readonly holders: readonly SlotHolder[];
  /** The oldest first. */
  readonly waiting: readonly SlotHolder[];
}

export interface SlotChange {
  readonly slots: Slots;
  /** Those that have a slot now and must be told; also one that asks again for what it holds. */
  readonly granted: readonly SlotHolder[];
}

export const emptySlots = (capacity: number): Slots => ({ capacity, holders: [], waiting: [] });

/** By priority, then by age. A capacity that shrank takes nothing away: it waits until enough is given back. */
const fill = (slots: Slots, now: number): SlotChange => {
  const { capacity, gate = capacity, holders, waiting } = slots;
  const free = Math.max(Math.min(capacity, gate) - holders.length, 0);
  if (free === 0 || waiting.length === 0) return { slots, granted: [] };
  const order = waiting.map((request, place) => ({ request, place }));
  order.sort((left, right) => left.request.priority - right.request.priority || left.place - right.place);
  const chosen = new Set(order.slice(0, free).map(({ request }) => request));
  const granted = [...chosen].map((request) => ({ ...request, since: now }));
  return { slots: { ...slots, holders: [...holders, ...granted], waiting: waiting.filter((request) => !chosen.has(request)) }, granted };
};

/** Whether all slots are held or waited for by others than backfills, which no run is skipped for. */
export const isCrowded = ({ capacity, holders, waiting }: Slots): boolean =>
  [...holders, ...waiting].filter(({ priority }) => priority < BACKFILL_PRIORITY).length >= capacity;

export const requestSlot = (slots: Slots, request: SlotRequest, now: number): SlotChange => {
  const held = slots.holders.find(({ key }) => key === request.key);
  if (held !== undefined) return { slots, granted: [held] };
  if (slots.waiting.some(({ key }) => key === request.key)) return { slots, granted: [] };
  return fill({ ...slots, waiting: withWaiting(slots.waiting, { since: now, ...request }) }, now);
};

/** Behind all that are as old. */
const withWaiting = (waiting: readonly SlotHolder[], one: SlotHolder): readonly SlotHolder[] =>
  waiting.toSpliced(waiting.findLastIndex(({ since }) => since <= one.since) + 1, 0, one);

/** Takes over what somebody says that it holds, however much that is, and what it waits for; grants nothing. */
export const recountSlots = (slots: Slots, { holders, waiting }: Pick<Slots, "holders" | "waiting">): Slots => {
  const held = new Map([...slots.holders, ...holders].map((one) => [one.key, one]));
  const known = new Set([...held.keys(), ...slots.waiting.map(({ key }) => key)]);
  const kept = slots.waiting.filter(({ key }) => !held.has(key));
  return { ...slots, holders: [...held.values()], waiting: waiting.filter(({ key }) => !known.has(key)).reduce(withWaiting, kept) };
};

/** Also of one that still waits. */
export const releaseSlot = (slots: Slots, key: string, now: number): SlotChange => without(slots, (one) => one.key === key, now);

/** A dead owner frees what it held and no longer waits. */
export const dropOwners = (slots: Slots, owners: ReadonlySet<string>, now: number): SlotChange =>
  without(slots, ({ owner }) => owners.has(owner), now);

export const resizeSlots = (slots: Slots, capacity: number, now: number): SlotChange => fill({ ...slots, capacity }, now);

/** Undefined takes the bound away. */
export const gateSlots = (slots: Slots, gate: number | undefined, now: number): SlotChange => {
  const { gate: _before, ...ungated } = slots;
  return fill(gate === undefined ? ungated : { ...ungated, gate }, now);
};

const without = (slots: Slots, leaves: (one: SlotHolder) => boolean, now: number): SlotChange => {
  const stays = (one: SlotHolder): boolean => !leaves(one);
  return fill({ ...slots, holders: slots.holders.filter(stays), waiting: slots.waiting.filter(stays) }, now);
};
