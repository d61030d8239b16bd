// The search attribute DownbeatStatus: why an open run does not simply run. Of all others Temporal's own status says enough, at no cost.

import { defineSearchAttributeKey } from "@temporalio/common";
import { upsertSearchAttributes, workflowInfo } from "@temporalio/workflow";
import type { RunStatus } from "../core/run-changes.ts";

const STATUS = defineSearchAttributeKey("DownbeatStatus", "KEYWORD");

export class HeldStatus {
  /** An earlier execution of the run may have left one. */
  #shown = workflowInfo().typedSearchAttributes.get(STATUS);

  /** With the status of an open run, or of one that ends. Only changes cost an event. */
  show(status: RunStatus): void {
    const shown = status === "waiting" || status === "paused" || status === "parked" ? status : undefined;
    if (shown === this.#shown) return;
    this.#shown = shown;
    upsertSearchAttributes([{ key: STATUS, value: shown ?? null }]);
  }
}
