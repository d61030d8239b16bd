// A plan as a run that starts now gets it.

import { guardPlan } from "../core/guarded-plan.ts";
import type { CompiledPlan, Plan } from "../core/plan.ts";
import type { Connections } from "./connections.ts";

const NONE: ReadonlySet<string> = new Set();

/** With the connections that have limits now; a plan that uses none costs no look. */
export const guardedPlan = async (compiled: CompiledPlan, guarded: Connections["guarded"]): Promise<Plan> =>
  guardPlan(compiled, compiled.uses === undefined ? NONE : await guarded());
