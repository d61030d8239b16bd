// Whether a process is still the one that was meant: a pid alone may belong to somebody else by now.

import { readFileSync } from "node:fs";

export interface BornProcess {
  readonly pid: number;
  readonly birth?: string | undefined;
}

/** The process's start time. Undefined where there is no /proc, and for a dead child. */
export const birthOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
};

export const isAlive = ({ pid, birth }: BornProcess): boolean => {
  try {
    return process.kill(pid, 0) && birth === birthOf(pid);
  } catch (error) {
    // Of another user: it is there.
    return (error as NodeJS.ErrnoException).code === "EPERM" && birth === birthOf(pid);
  }
};
