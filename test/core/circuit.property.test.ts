// The circuit breaker with the slots that it gates, under any sequence of uses, failures, lost holders and time.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Circuit, circuitAt, CLOSED, gateOf, hear, type Verdict, verdictOf } from "../../core/circuit.ts";
import { ERRORS } from "../../core/errors.ts";
import { dropOwners, emptySlots, gateSlots, releaseSlot, requestSlot, type SlotChange, type Slots } from "../../core/slots.ts";

const POLICY = { failures: 3, withinMs: 60, openForMs: 30 };

interface Connection {
  readonly slots: Slots;
  readonly circuit: Circuit;
}

/** As the owner's workflow does it. */
const turn = ({ slots }: Connection, circuit: Circuit, now: number): Connection => ({
  circuit,
  slots: gateSlots(slots, gateOf(circuit), now).slots,
});
const tick = (connection: Connection, now: number): Connection => turn(connection, circuitAt(connection.circuit, now), now);
const change = (connection: Connection, work: (slots: Slots) => SlotChange): Connection => ({
  ...connection,
  slots: work(connection.slots).slots,
});

type Step =
  | { readonly kind: "ask"; readonly key: number; readonly priority: number }
  | { readonly kind: "end"; readonly pick: number; readonly verdict: Verdict }
  | { readonly kind: "die"; readonly pick: number }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("ask" as const), key: fc.nat(30), priority: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      pick: fc.nat(30),
      verdict: fc.constantFrom<Verdict>("well", "unwell", "unwell", "unknown"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), pick: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 40 }) }) },
);

const take = (before: Connection, taken: Step, now: number): Connection => {
  const current = tick(before, now);
  const holderAt = (pick: number) => current.slots.holders[pick % Math.max(current.slots.holders.length, 1)];
  switch (taken.kind) {
    case "ask": {
      const request = { key: `k${taken.key}`, owner: `o${taken.key}`, priority: taken.priority };
      return change(current, (slots) => requestSlot(slots, request, now));
    }
    case "end": {
      const holder = holderAt(taken.pick);
      if (holder === undefined) return current;
      const heard = turn(current, hear(current.circuit, POLICY, taken.verdict, holder.since, now), now);
      return change(heard, (slots) => releaseSlot(slots, holder.key, now));
    }
    case "die": {
      const holder = holderAt(taken.pick);
      return holder === undefined ? current : change(current, (slots) => dropOwners(slots, new Set([holder.owner]), now));
    }
    case "pass":
      return current;
  }
};

const begin = (capacity: number): Connection => ({ slots: emptySlots(capacity), circuit: CLOSED });
const keysOf = ({ slots }: Connection): ReadonlySet<string> => new Set(slots.holders.map(({ key }) => key));

describe("the circuit breaker of a connection", () => {
  it("lets nobody through while it is open, and never more than its limit and what it allows", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 6 }), (steps, capacity) => {
        let [connection, now] = [begin(capacity), 1];
        for (const taken of steps) {
          now += taken.kind === "pass" ? taken.ms : 1;
          const before = keysOf(connection);
          connection = take(connection, taken, now);
          const { slots, circuit } = connection;
          const isNew = [...keysOf(connection)].some((key) => !before.has(key));
          expect(slots.holders.length).toBeLessThanOrEqual(capacity);
          if (circuit.state === "open") expect(isNew).toBe(false);
          if (circuit.state === "half_open" && isNew) expect(slots.holders.length).toBeLessThanOrEqual(circuit.allowed);
          // It survives continue-as-new.
          expect(JSON.parse(JSON.stringify(connection))).toEqual(connection);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("loses nobody: once the other side is well again everybody who waits gets a turn, and it closes", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 6 }), (steps, capacity) => {
        let [connection, now] = [begin(capacity), 1];
        for (const taken of steps) {
          now += taken.kind === "pass" ? taken.ms : 1;
          connection = take(connection, taken, now);
        }
        for (let extra = 0; extra < 40; extra += 1)
          connection = change(connection, (slots) => requestSlot(slots, { key: `x${extra}`, owner: "o", priority: 3 }, now));
        for (let round = 0; connection.slots.holders.length + connection.slots.waiting.length > 0; round += 1) {
          expect(round).toBeLessThan(500);
          now += POLICY.openForMs;
          connection = take(connection, { kind: "end", pick: 0, verdict: "well" }, now);
        }
        expect(connection.circuit.state).toBe("closed");
      }),
      { numRuns: 500 },
    );
  });

  it("opens after so many failures within the time, and not by older ones", () => {
    const fail = (circuit: Circuit, now: number): Circuit => hear(circuit, POLICY, "unwell", 0, now);
    const twice = fail(fail(CLOSED, 1), 2);
    expect(twice).toEqual({ state: "closed", failures: [1, 2] });
    expect(fail(twice, 60)).toEqual({ state: "open", since: 60, until: 90 });
    expect(fail(twice, 62)).toEqual({ state: "closed", failures: [62] });
    expect(hear(twice, POLICY, "well", 0, 3)).toEqual(twice);
  });

  it("lets one through after its time, then two, four, eight, sixteen, then all; a failure opens it again", () => {
    let circuit = circuitAt({ state: "open", since: 0, until: 30 }, 30);
    const seen: number[] = [];
    while (circuit.state === "half_open") {
      seen.push(circuit.allowed);
      for (let uses = circuit.allowed; uses > 0; uses -= 1) circuit = hear(circuit, POLICY, "well", 31, 31);
    }
    expect(seen).toEqual([1, 2, 4, 8, 16]);
    expect(circuit).toEqual(CLOSED);
    const half = circuitAt({ state: "open", since: 0, until: 30 }, 35);
    expect(hear(half, POLICY, "unwell", 36, 40)).toEqual({ state: "open", since: 40, until: 70 });
    // What began before tells of the past; what was cancelled or lost tells nothing.
    for (const [verdict, begunAt] of [
      ["unwell", 10],
      ["well", 10],
      ["unknown", 36],
    ] as const)
      expect(hear(half, POLICY, verdict, begunAt, 40)).toEqual(half);
  });

  it("counts what says that the other side is unwell, on its side of the task", () => {
    const codes = Object.keys(ERRORS);
    const unwell = (side: "source" | "destination" | undefined) => codes.filter((code) => verdictOf(code, side) === "unwell");
    expect(unwell("source")).toEqual(["SOURCE_UNAVAILABLE", "HTTP_UNAVAILABLE", "ATTEMPT_TIMEOUT"]);
    expect(unwell("destination")).toEqual(["DESTINATION_UNAVAILABLE", "DESTINATION_FULL", "HTTP_UNAVAILABLE", "ATTEMPT_TIMEOUT"]);
    expect(unwell(undefined)).toHaveLength(5);
    for (const code of ["SQL_FAILED", "SOURCE_AUTH", "DESTINATION_DATA_REFUSED", undefined])
      expect([code, verdictOf(code, "source")]).toEqual([code, "well"]);
    for (const code of ["CANCELLED", "WORKER_LOST", "INTERNAL", "STORE_UNAVAILABLE", "DESTINATION_FULL"])
      expect([code, verdictOf(code, "source")]).toEqual([code, "unknown"]);
  });
});
