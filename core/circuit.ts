// The circuit breaker of a connection: opens after so many failures that say the other side is unwell, then lets one through, two, four. Pure and plain.

import { ERRORS, isErrorCode } from "./errors.ts";

export interface CircuitPolicy {
  /** So many failures within this time open it. */
  readonly failures: number;
  readonly withinMs: number;
  /** Nothing is let through for so long. */
  readonly openForMs: number;
}

export interface ConnectionLimits {
  /** Tasks that may use the connection at the same time. */
  readonly maxConcurrent?: number;
  readonly breaker?: CircuitPolicy;
}

/** The capacity of a connection that has a circuit breaker alone: a number, since JSON has no infinity. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** Plain JSON; moments in milliseconds since 1970. */
export type Circuit =
  | { readonly state: "closed"; readonly failures: readonly number[] }
  | { readonly state: "open"; readonly since: number; readonly until: number }
  /** `allowed` may be in flight; after as many successes twice as many, and in the end all. */
  | { readonly state: "half_open"; readonly since: number; readonly allowed: number; readonly successes: number };

/** What the end of a use says of the other side; a cancelled or lost one says nothing. */
export type Verdict = "well" | "unwell" | "unknown";

/** Which side of a task a connection is on; absent: both, or the only one. */
export type Side = "source" | "destination";

/** Twice this and everything may go: the other side has shown that it is well. */
const MOST_ALLOWED = 16;

export const CLOSED: Circuit = { state: "closed", failures: [] };

/** As time alone changes it. */
export const circuitAt = (circuit: Circuit, now: number): Circuit =>
  circuit.state === "open" && now >= circuit.until ? { state: "half_open", since: now, allowed: 1, successes: 0 } : circuit;

/** How many may be in flight; undefined: as many as want to. */
export const gateOf = (circuit: Circuit): number | undefined => {
  if (circuit.state === "closed") return undefined;
  return circuit.state === "open" ? 0 : circuit.allowed;
};

/** Hears how a use of the connection ended that began at `begunAt`; what began before the circuit last opened tells nothing new. */
export const hear = (circuit: Circuit, policy: CircuitPolicy, verdict: Verdict, begunAt: number, now: number): Circuit => {
  const current = circuitAt(circuit, now);
  if (verdict === "unknown" || current.state === "open") return current;
  if (current.state === "closed") {
    if (verdict === "well") return current;
    const failures = [...current.failures, now].filter((at) => at > now - policy.withinMs);
    return failures.length >= policy.failures ? opened(policy, now) : { state: "closed", failures };
  }
  if (begunAt < current.since) return current;
  if (verdict === "unwell") return opened(policy, now);
  const successes = current.successes + 1;
  if (successes < current.allowed) return { ...current, successes };
  return current.allowed >= MOST_ALLOWED ? CLOSED : { ...current, allowed: current.allowed * 2, successes: 0 };
};

const opened = ({ openForMs }: CircuitPolicy, now: number): Circuit => ({ state: "open", since: now, until: now + openForMs });

/** What the owner of a connection's slots is told of its limits; none lets everything through. */
export const connectionSlots = (limits: ConnectionLimits | null): { readonly capacity: number; readonly breaker?: CircuitPolicy } => ({
  capacity: limits?.maxConcurrent ?? UNLIMITED,
  ...(limits?.breaker === undefined ? {} : { breaker: limits.breaker }),
});

/** Whether it says of one of these connections that the other side is unwell. */
export const saysUnwell = (code: string, uses: readonly { readonly side?: Side }[] = []): boolean =>
  uses.some(({ side }) => verdictOf(code, side) === "unwell");

/** What a task's end says of the connection on this side: errors of the user's and of the data come from a system that answers. */
export const verdictOf = (code: string | undefined, side: Side | undefined): Verdict => {
  if (code === undefined) return "well";
  const rule = isErrorCode(code) ? ERRORS[code] : undefined;
  if (rule !== undefined && "unwell" in rule)
    return side === undefined || rule.unwell === "either" || rule.unwell === side ? "unwell" : "unknown";
  return rule === undefined || rule.fault === "internal" || rule.fault === "system" || code === "CANCELLED" ? "unknown" : "well";
};
