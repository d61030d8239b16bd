// How a connection's limits, and what its owner tells, look to clients.

import { circuitAt, type ConnectionLimits } from "../core/circuit.ts";
import type { SlotHolder } from "../core/slots.ts";
import type { PoolState } from "../workflows/messages.ts";

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

const presentHolder = ({ key, owner, priority, since }: SlotHolder) => ({
  task: key.slice(key.lastIndexOf("#") + 1),
  workflow: owner,
  priority,
  since: iso(since),
});

/** As requests carry them. */
export const presentLimits = (limits: ConnectionLimits | null) => ({
  max_concurrent: limits?.maxConcurrent ?? null,
  circuit_breaker:
    limits?.breaker === undefined
      ? null
      : {
          failures: limits.breaker.failures,
          within: `${limits.breaker.withinMs / 1_000}s`,
          open_for: `${limits.breaker.openForMs / 1_000}s`,
        },
});

export const presentSlots = (state: PoolState | undefined) => {
  const { holders = [], waiting = [] } = state?.slots ?? {};
  return {
    holders: holders.map(presentHolder),
    waiting: waiting.map(presentHolder),
    total: state?.total ?? { holders: holders.length, waiting: waiting.length },
  };
};

export const presentUse = (state: PoolState | undefined, now: number) => ({ ...presentSlots(state), circuit: presentCircuit(state, now) });

const presentCircuit = (state: PoolState | undefined, now: number) => {
  if (state?.breaker === undefined) return null;
  const circuit = circuitAt(state.breaker.circuit, now);
  const recent = (at: number): boolean => at > now - (state.breaker?.policy.withinMs ?? 0);
  return {
    state: circuit.state,
    failures: circuit.state === "closed" ? circuit.failures.filter(recent).length : 0,
    since: circuit.state === "closed" ? null : iso(circuit.since),
    until: circuit.state === "open" ? iso(circuit.until) : null,
    allowed: circuit.state === "half_open" ? circuit.allowed : null,
    last_reset: state.reset === undefined ? null : { by: state.reset.by, why: state.reset.why ?? null, at: state.reset.at },
  };
};
