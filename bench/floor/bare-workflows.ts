// The floor of bench:overhead: what anyone would write in bare Temporal for the same shapes.

import { proxyActivities } from "@temporalio/workflow";

const { noop } = proxyActivities<{ noop(input: unknown): Promise<unknown> }>({
  startToCloseTimeout: "1 minute",
  // With 500 workflows started at once the server has been seen to lose a task on its way to the worker.
  retry: { maximumAttempts: 3 },
});

export async function chain(tasks: number): Promise<void> {
  for (let index = 0; index < tasks; index += 1) await noop(null);
}

/** 1 → width → 1, with at most `window` activities in flight. */
export async function fan(width: number, window: number): Promise<void> {
  await noop(null);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < width) {
      next += 1;
      await noop(null);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, window) }, lane));
  await noop(null);
}
