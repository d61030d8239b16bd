// Stops all of a process group, also for a process that cannot do it any more.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

/** Between SIGTERM and SIGKILL; with what follows it stays below the time that a stopping attempt and a stopping worker are given. */
const GRACE_MS = 4_000;
/** What a program has started may still write its last lines when the program itself has ended. */
export const LINGER_MS = 1_000;
const LOOK_EVERY_MS = 50;

/** False when nobody of the group is left. */
const signalGroup = (group: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-group, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
};

/** All of the group are gone when it resolves, or cannot be killed. */
export const stopGroup = async (group: number): Promise<void> => {
  const isGoneWithin = async (milliseconds: number): Promise<boolean> => {
    for (let waited = 0; waited < milliseconds; waited += LOOK_EVERY_MS) {
      if (!signalGroup(group, 0)) return true;
      await pause(LOOK_EVERY_MS);
    }
    return false;
  };
  if (!signalGroup(group, "SIGTERM") || (await isGoneWithin(GRACE_MS))) return;
  signalGroup(group, "SIGKILL");
  // Where nobody reaps orphans, what is dead stays visible.
  await isGoneWithin(LINGER_MS);
};

/** Reads the group, then whether the program ended; the end of its input without that means that this process has died. */
const GUARD_SCRIPT = `
read -r group || exit 0
read -r ended && exit 0
kill -s TERM -- "-$group" 2>/dev/null || exit 0
n=0
while [ $n -lt ${GRACE_MS / 100} ] && kill -s 0 -- "-$group" 2>/dev/null; do sleep 0.1; n=$((n+1)); done
kill -s KILL -- "-$group" 2>/dev/null
`;

export interface Guard {
  watch(group: number): void;
  release(): void;
}

/** A small shell outlives this process and stops the group for it: Node cannot ask the kernel to. */
export const startGuard = async (): Promise<Guard> => {
  const shell = spawn("/bin/sh", ["-c", GUARD_SCRIPT], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  await once(shell, "spawn");
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  return {
    watch: (group) => void shell.stdin.write(`${group}\n`),
    release: () => void shell.stdin.end("ended\n"),
  };
};
