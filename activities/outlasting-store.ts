// Waiting for a store that is away, where what has been done must not be lost by it.

import { setTimeout as pause } from "node:timers/promises";
import { DownbeatError } from "../core/errors.ts";
import { isStoreAway } from "./failure.ts";

const AGAIN_AFTER_MS = 1_000;

/** Repeats the work for as long as the store is away. Throws what else the work throws, and the reason of `cancelled`. */
export const outlastingStore = async <Value>(cancelled: AbortSignal, work: () => Promise<Value>): Promise<Value> => {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DownbeatError && isStoreAway(error))) throw error;
      await pause(AGAIN_AFTER_MS, undefined, { signal: cancelled }).catch(() => undefined);
      cancelled.throwIfAborted();
    }
  }
};
