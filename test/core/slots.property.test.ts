// Slots of a pool under any sequence of requests, releases, deaths and resizes: the limit holds, nothing is lost, order is by priority and age.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  dropOwners,
  emptySlots,
  recountSlots,
  releaseSlot,
  requestSlot,
  resizeSlots,
  type SlotChange,
  slotPriority,
  type Slots,
} from "../../core/slots.ts";

type Step =
  | { readonly kind: "request"; readonly key: number; readonly owner: number; readonly priority: number }
  | { readonly kind: "release"; readonly key: number }
  | { readonly kind: "die"; readonly owner: number }
  | { readonly kind: "resize"; readonly capacity: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      key: fc.nat(20),
      owner: fc.nat(5),
      priority: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("release" as const), key: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), owner: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("resize" as const), capacity: fc.nat(6) }) },
);

const apply = (slots: Slots, taken: Step, now: number): SlotChange => {
  switch (taken.kind) {
    case "request":
      return requestSlot(slots, { key: `k${taken.key}`, owner: `o${taken.owner}`, priority: taken.priority }, now);
    case "release":
      return releaseSlot(slots, `k${taken.key}`, now);
    case "die":
      return dropOwners(slots, new Set([`o${taken.owner}`]), now);
    case "resize":
      return resizeSlots(slots, taken.capacity, now);
  }
};

const keys = (list: readonly { readonly key: string }[]): readonly string[] => list.map(({ key }) => key);

describe("slots", () => {
  it("are never held by more than there are, unless they became fewer; and none stays free while somebody waits", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let slots = emptySlots(2);
        for (const [now, taken] of steps.entries()) {
          const before = slots.holders.length;
          const { slots: after, granted } = apply(slots, taken, now);
          if (granted.some(({ since }) => since === now)) expect(after.holders.length).toBeLessThanOrEqual(after.capacity);
          expect(after.holders.length).toBeLessThanOrEqual(Math.max(after.capacity, before));
          if (after.waiting.length > 0) expect(after.holders.length).toBeGreaterThanOrEqual(after.capacity);
          const all = [...keys(after.holders), ...keys(after.waiting)];
          expect(new Set(all).size).toBe(all.length);
          for (const one of granted) expect(after.holders).toContainEqual(one);
          slots = after;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("lose nobody: who asked holds, waits, gave back or died", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let slots = emptySlots(2);
        const wanted = new Map<string, string>();
        for (const [now, taken] of steps.entries()) {
          slots = apply(slots, taken, now).slots;
          if (taken.kind === "request" && !wanted.has(`k${taken.key}`)) wanted.set(`k${taken.key}`, `o${taken.owner}`);
          if (taken.kind === "release") wanted.delete(`k${taken.key}`);
          if (taken.kind === "die") for (const [key, owner] of wanted) if (owner === `o${taken.owner}`) wanted.delete(key);
          expect([...keys(slots.holders), ...keys(slots.waiting)].toSorted()).toEqual([...wanted.keys()].toSorted());
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("go to the most urgent of those that wait, and of these to the oldest, whatever has been going on", () => {
    // Some tell their age: they waited before, under another owner or in a line of their run.
    const aged = fc.record({ taken: step, waitedFor: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(aged, { maxLength: 80 }), (steps) => {
        let slots = emptySlots(2);
        const line: { readonly key: string; readonly owner: string; readonly priority: number; readonly since: number }[] = [];
        const leave = (leaves: (one: (typeof line)[number]) => boolean): void => {
          for (const one of line.filter(leaves)) line.splice(line.indexOf(one), 1);
        };
        for (const [now, { taken, waitedFor }] of steps.entries()) {
          let change: SlotChange;
          if (taken.kind === "request") {
            const request = { key: `k${taken.key}`, owner: `o${taken.owner}`, priority: taken.priority, since: now - waitedFor };
            const isKnown = [...keys(slots.holders), ...keys(line)].includes(request.key);
            change = requestSlot(slots, request, now);
            if (isKnown) {
              slots = change.slots;
              continue;
            }
            line.push(request);
          } else {
            change = apply(slots, taken, now);
            if (taken.kind === "release") leave(({ key }) => key === `k${taken.key}`);
            if (taken.kind === "die") leave(({ owner }) => owner === `o${taken.owner}`);
          }
          const best = line.toSorted((left, right) => left.priority - right.priority || left.since - right.since);
          expect(keys(change.granted)).toEqual(keys(best.slice(0, change.granted.length)));
          leave(({ key }) => keys(change.granted).includes(key));
          expect(keys(change.slots.waiting).toSorted()).toEqual(keys(line).toSorted());
          slots = change.slots;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("go to the most urgent, then to the one that has waited longest", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 }), (priorities) => {
        let slots = emptySlots(0);
        for (const [now, priority] of priorities.entries()) slots = requestSlot(slots, { key: `k${now}`, owner: "o", priority }, now).slots;
        slots = { ...slots, capacity: 1 };
        const order: string[] = [];
        let { slots: next, granted } = resizeSlots(slots, 1, 100);
        while (granted.length > 0) {
          order.push(...keys(granted));
          ({ slots: next, granted } = releaseSlot(next, granted[0]?.key ?? "", 101));
        }
        const expected = priorities
          .map((priority, place) => ({ priority, place }))
          .toSorted((a, b) => a.priority - b.priority || a.place - b.place);
        expect(order).toEqual(expected.map(({ place }) => `k${place}`));
      }),
    );
  });

  it("go to a backfill's tasks behind all others, and among those by their own priority", () => {
    const wish = fc.record({ own: fc.integer({ min: 1, max: 5 }), isBackfill: fc.boolean() });
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 20 }), (wishes) => {
        let slots = emptySlots(0);
        for (const [now, { own, isBackfill }] of wishes.entries())
          slots = requestSlot(slots, { key: `k${now}`, owner: "o", priority: slotPriority(own, isBackfill) }, now).slots;
        const order: string[] = [];
        let { slots: next, granted } = resizeSlots(slots, 1, 100);
        while (granted.length > 0) {
          order.push(...keys(granted));
          ({ slots: next, granted } = releaseSlot(next, granted[0]?.key ?? "", 101));
        }
        const expected = wishes
          .map((one, place) => ({ ...one, place }))
          .toSorted((a, b) => Number(a.isBackfill) - Number(b.isBackfill) || a.own - b.own || a.place - b.place);
        expect(order).toEqual(expected.map(({ place }) => `k${place}`));
      }),
    );
  });

  it("are taken over from who says that it holds them, beyond the limit, once; who waited longest goes first", () => {
    const one = (key: string, since: number) => ({ key, owner: "o", priority: 3, since });
    const asked = requestSlot({ ...emptySlots(1), gate: 0 }, one("late", 9), 9).slots;
    const told = recountSlots(asked, { holders: [one("a", 1), one("b", 2)], waiting: [one("early", 3), one("late", 9)] });
    expect([keys(told.holders), keys(told.waiting)]).toEqual([
      ["a", "b"],
      ["early", "late"],
    ]);
    expect(recountSlots(told, { holders: [one("a", 1)], waiting: [one("early", 3)] })).toEqual(told);
  });

  it("are told again to who asks for what it holds", () => {
    const { slots } = requestSlot(emptySlots(1), { key: "k", owner: "o", priority: 3 }, 1);
    expect(requestSlot(slots, { key: "k", owner: "o", priority: 3 }, 2)).toEqual({
      slots,
      granted: [{ key: "k", owner: "o", priority: 3, since: 1 }],
    });
  });
});
