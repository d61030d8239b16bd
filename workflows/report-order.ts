// Which of two reports to the store is the newer one.

import { workflowInfo } from "@temporalio/workflow";

/**
 * The number of the next report, after `sent` of this execution and `before` of all earlier ones. A workflow task that is done again, since its worker died
 * or events came in between, may report more than its first try did, which the store has taken; counting alone would give both the same number. It has
 * more history.
 */
export const nextReport = (sent: number, before: number): number => Math.max(sent + 1, before + workflowInfo().historyLength);
