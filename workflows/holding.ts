// Waits and approvals: what becomes of them at this moment. They hold no worker; a timer of the run looks again.

import { MOMENT_HINT, parseDuration, parseMoment } from "../core/duration.ts";
import { DownbeatError } from "../core/errors.ts";
import { renderTemplates, type Scope } from "../core/expression.ts";
import type { Json } from "../core/json.ts";
import type { PlanTask, WaitPlan } from "../core/plan.ts";
import { approvalWakeAt } from "../core/run-control.ts";
import type { TaskState } from "../core/run-state.ts";

interface HeldAt {
  readonly since: number;
  readonly now: number;
  readonly amended: boolean;
}

export type Held =
  | { readonly kind: "hold"; readonly reason: "time" | "approval"; readonly until: number }
  /** A worker must look whether the condition holds. */
  | { readonly kind: "look" }
  | { readonly kind: "succeeded"; readonly output: Json }
  | { readonly kind: "skipped" }
  | { readonly kind: "failed"; readonly message: string };

/**
 * Of a wait or an approval that has just begun or was woken. `since`: when its deadline began to count. Throws EXPRESSION_FAILED, also for the message of an
 * approval: nobody could decide on what was not said. `amended`: as the run's manner has it; approvals of older runs show such a message as it was written.
 */
export const holdOrEnd = (task: PlanTask, { startedAt }: TaskState, scope: Scope, { since, now, amended }: HeldAt): Held => {
  const { wait, approval } = task;
  const held = wait ?? approval;
  if (held === undefined) throw new DownbeatError("INTERNAL", `task "${task.id}" is neither wait nor approval`);
  const deadline = since + held.deadlineMs;
  if (wait !== undefined) {
    const until = momentOf(wait, scope, startedAt ?? since);
    if (until === undefined) return now < deadline ? { kind: "look" } : atDeadline(held.onDeadline, held.deadlineMs);
    if (until <= now) return { kind: "succeeded", output: null };
    return now < deadline
      ? { kind: "hold", reason: "time", until: Math.min(until, deadline) }
      : atDeadline(held.onDeadline, held.deadlineMs);
  }
  if (now >= deadline) return atDeadline(held.onDeadline, held.deadlineMs);
  if (amended && approval?.message !== undefined) renderTemplates(approval.message, scope);
  return { kind: "hold", reason: "approval", until: approval === undefined ? deadline : approvalWakeAt(approval, since, now) };
};

const atDeadline = (onDeadline: "fail" | "skip" | "approve", deadlineMs: number): Held => {
  if (onDeadline === "skip") return { kind: "skipped" };
  if (onDeadline === "approve")
    return { kind: "succeeded", output: { approved: true, by: null, comment: "nobody decided before the deadline" } };
  return { kind: "failed", message: `what it waits for did not come within its deadline of ${deadlineMs / 1_000} s` };
};

/** Undefined for a condition. */
const momentOf = ({ until, for: duration }: WaitPlan, scope: Scope, startedAt: number): number | undefined => {
  const given = until ?? duration;
  if (given === undefined) return undefined;
  const value = renderTemplates(given, scope);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (until === undefined) {
    const length = parseDuration(text);
    if (length === undefined) throw new DownbeatError("EXPRESSION_FAILED", `wait.for is "${text}", which is no duration`);
    return startedAt + length;
  }
  const moment = parseMoment(text);
  if (moment === undefined) throw new DownbeatError("EXPRESSION_FAILED", `wait.until is "${text}", which is no moment; ${MOMENT_HINT}`);
  return moment;
};

const GROWTH = 1.5;

/** When to look at a condition again, after so many looks; at its deadline at the latest. */
export const nextLook = ({ wait }: PlanTask, { looks = 0 }: TaskState, since: number, now: number): number => {
  const { everyMs = 10_000, maxMs = 300_000 } = wait?.poll ?? {};
  const pause = Math.min(everyMs * GROWTH ** Math.min(looks, 50), maxMs);
  return Math.min(now + pause, since + (wait?.deadlineMs ?? Infinity));
};
