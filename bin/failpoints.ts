// Failpoints: named boundaries at which the process kills itself, for chaos tests; without configuration they do nothing.

import type { Failpoint } from "../connectors/connector.ts";

/** "name:n,name:n": SIGKILL at the n-th time that the name is reached. */
export const createFailpoint = (specification: string | undefined): Failpoint => {
  if (specification === undefined) return () => Promise.resolve();
  const left = new Map(specification.split(",").map((entry) => [entry.split(":")[0] ?? "", Number(entry.split(":")[1])]));
  return async (name) => {
    const hits = left.get(name);
    if (hits === undefined) return;
    left.set(name, hits - 1);
    if (hits > 1) return;
    process.kill(process.pid, "SIGKILL");
    // The signal may take a moment; nothing may happen behind the boundary.
    await new Promise(() => undefined);
  };
};
