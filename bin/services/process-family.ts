// A process and those that it has started, from /proc.

import { readdirSync, readFileSync } from "node:fs";

/** PostgreSQL has one process for each connection. Only the process itself where there is no /proc, or when it is gone. */
export const familyOf = (pid: number): readonly number[] => {
  const threads = `/proc/${pid}/task`;
  try {
    return [pid, ...readdirSync(threads).flatMap((thread) => childrenOf(`${threads}/${thread}/children`))];
  } catch {
    return [pid];
  }
};

const childrenOf = (file: string): readonly number[] => readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number);
