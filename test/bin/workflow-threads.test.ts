// Threads of workflows are spared the SDK's promise hooks, and only they are.

import { once } from "node:events";
import threads from "node:worker_threads";
import { expect, it } from "vitest";
import { withoutPromiseStacks } from "../../bin/workflow-threads.ts";

const HOOKING_THREAD = new URL("hooking-thread.ts", import.meta.url);

const promisesHookedIn = async (thread: threads.Worker): Promise<number> => {
  const [hooked] = (await once(thread, "message")) as [number];
  await thread.terminate();
  return hooked;
};

it("a thread hooks no promises when it was started so", async () => {
  const thread = await withoutPromiseStacks(async () => new threads.Worker(HOOKING_THREAD));
  expect(await promisesHookedIn(thread)).toBe(0);
});

it("others do, also after a start that failed", async () => {
  await expect(withoutPromiseStacks(() => Promise.reject(new Error("no server")))).rejects.toThrow("no server");
  expect(await promisesHookedIn(new threads.Worker(HOOKING_THREAD))).toBeGreaterThan(0);
});
