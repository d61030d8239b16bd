// Deletes what triggers have taken long ago, as far as nobody needs to know of it any more.

import type { ApiDeps } from "./deps.ts";

/** A statement deletes no more, so that none holds rows for long. */
const MOST_AT_ONCE = 2_000;

/** Answers how many it deleted. Any number of processes may do this at once. */
export const forgetEvents = async (
  { store, log }: Pick<ApiDeps, "store" | "log">,
  keepMs: number,
  mostAtOnce = MOST_AT_ONCE,
): Promise<number> => {
  const before = new Date(Date.now() - keepMs).toISOString();
  let forgotten = 0;
  for (;;) {
    const count = await store.triggers.forget(before, mostAtOnce);
    forgotten += count;
    if (count < mostAtOnce) break;
  }
  if (forgotten > 0) log.info({ events: forgotten, before }, "old events of triggers were deleted");
  return forgotten;
};
