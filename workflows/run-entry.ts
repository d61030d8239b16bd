// A run's place among its pipeline's runs, where those are limited: waits for it, keeps it, gives it back.

import { isCancellation } from "@temporalio/workflow";
import type { Concurrency } from "../core/plan.ts";
import type { TaskError } from "../core/run-changes.ts";
import type { RunInput } from "./messages.ts";
import type { RunSlots } from "./run-slots.ts";

const noPlace = ({ maxRuns, strategy }: Concurrency): TaskError => ({
  code: "CONCURRENCY_LIMIT",
  message: `as many runs of the pipeline go on as may (max_runs ${maxRuns}), and its concurrency strategy is ${strategy}: nothing of this run has begun`,
});

export class RunEntry {
  readonly #input: Pick<RunInput, "plan" | "run">;
  readonly #slots: RunSlots;
  #place: "none" | "held" | "refused" = "none";

  constructor({ plan, run, continued }: RunInput, slots: RunSlots) {
    this.#input = { plan, run };
    this.#slots = slots;
    if (continued?.startedAt !== undefined && plan.concurrency !== undefined) {
      this.#place = "held";
      slots.stay(run, plan.concurrency);
    }
  }

  /** Whether nothing is to be waited for. */
  get isIn(): boolean {
    return this.#input.plan.concurrency === undefined || this.#place === "held";
  }

  /** Waits where runs are limited. `cancelled`: the run was, while it waited. */
  async enter(waits?: () => void): Promise<"at once" | "entered" | "refused" | "cancelled"> {
    const { plan, run } = this.#input;
    if (plan.concurrency === undefined || this.#place === "held") return "at once";
    try {
      const isIn = await this.#slots.enter(run, plan.concurrency, waits);
      this.#place = isIn ? "held" : "refused";
      return isIn ? "entered" : "refused";
    } catch (error) {
      if (!isCancellation(error)) throw error;
      // Wherever its wish is by now.
      this.#place = "held";
      return "cancelled";
    }
  }

  /** What it waits for before anything of it begins, in words. */
  get awaited(): string | undefined {
    const { plan, run } = this.#input;
    if (plan.concurrency === undefined || this.#place !== "none") return undefined;
    return `waits for its turn: of ${run.pipeline} at most ${plan.concurrency.maxRuns} runs go on at the same time`;
  }

  /** Why nothing of the run began, if its place was refused. */
  get refusal(): TaskError | undefined {
    const { concurrency } = this.#input.plan;
    return this.#place === "refused" && concurrency !== undefined ? noPlace(concurrency) : undefined;
  }

  leave(): void {
    if (this.#place === "held") this.#slots.leave(this.#input.run.pipeline);
  }
}
