// The time of a child workflow: when it is over, the child is told to stop and may clean up.

import { ApplicationFailure, CancellationScope, isCancellation } from "@temporalio/workflow";

/** Temporal's own timeout would end a child without a word: nothing is told to stop, nothing cleans up. Rejects with TASK_TIMEOUT. */
export const withTotalTimeout = async <Value>(milliseconds: number, work: () => Promise<Value>): Promise<Value> => {
  const caller = CancellationScope.current();
  const scope = new CancellationScope({ cancellable: true, timeout: Math.max(milliseconds, 1), parent: caller });
  try {
    return await scope.run(work);
  } catch (error) {
    if (!scope.consideredCancelled || caller.consideredCancelled || !isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable("it was told to stop and has stopped, since timeout.total was over", "TASK_TIMEOUT");
  }
};
