// What a run gives: its pipeline's own outputs, once all has gone well.

import { renderTemplates } from "../core/expression.ts";
import type { Json } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { Graph, RunState } from "../core/run-state.ts";
import type { Conclusion } from "./conclusion.ts";
import { failureOf } from "./failure.ts";
import type { RunInput } from "./messages.ts";
import { scopeOf } from "./task-call.ts";

export type Ended = Omit<Conclusion, "details"> & { readonly output?: Json };

/** A run whose outputs cannot be made has failed. */
export const withOutputs = (input: RunInput, graph: Graph, state: RunState, ended: Ended): Ended => {
  const { outputs } = graph.plan;
  if (ended.outcome !== "succeeded" || outputs === undefined) return ended;
  try {
    const output = renderTemplates(outputs.values, scopeOf(input, graph, state, { reads: outputs.reads }));
    const bytes = JSON.stringify(output).length;
    if (bytes <= LIMITS.outputBytes) return { ...ended, output };
    return {
      outcome: "failed",
      error: { code: "OUTPUT_TOO_LARGE", message: `the run's outputs are ${bytes} bytes of JSON, the limit is ${LIMITS.outputBytes}` },
    };
  } catch (error) {
    const { code, message } = failureOf(error);
    return { outcome: "failed", error: { code, message: `outputs: ${message}` } };
  }
};
