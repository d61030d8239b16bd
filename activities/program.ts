// Runs one program in a process group of its own, and leaves nothing of the group behind: not on an abort, not at its end, not when this process is killed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

export interface Program {
  /** An absolute path: nothing is looked up. */
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
}

export type Stream = "stdout" | "stderr";

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Between SIGTERM and SIGKILL; with what follows it stays below the time that a stopping attempt and a stopping worker are given. */
const GRACE_MS = 4_000;
/** What a program has started may still write its last lines when the program itself has ended. */
const LINGER_MS = 1_000;
const LOOK_EVERY_MS = 50;

/** Rejects with the signal's reason after an abort, and with the system's error when the program cannot be started. */
export const runProgram = async (
  { file, args, cwd, env, stdin }: Program,
  signal: AbortSignal,
  onOutput: (stream: Stream, text: string) => void,
): Promise<ProgramEnd> => {
  signal.throwIfAborted();
  const guard = await startGuard();
  try {
    const child = spawn(file, [...args], {
      cwd,
      env: { ...env },
      detached: true,
      stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const ended = endOf(child);
    const closed = once(child, "close");
    if (child.pid === undefined) {
      closed.catch(() => undefined);
      return await ended;
    }
    guard.watch(child.pid);
    for (const stream of ["stdout", "stderr"] as const)
      child[stream]?.setEncoding("utf8").on("data", (text: string) => onOutput(stream, text));
    // A program need not read what it is given.
    child.stdin?.on("error", () => undefined).end(stdin);
    return await untilGone(child, child.pid, { ended, closed, signal });
  } finally {
    guard.release();
  }
};

const endOf = (child: ChildProcess): Promise<ProgramEnd> =>
  new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });

const untilGone = async (
  child: ChildProcess,
  group: number,
  { ended, closed, signal }: { readonly ended: Promise<ProgramEnd>; readonly closed: Promise<unknown>; readonly signal: AbortSignal },
): Promise<ProgramEnd> => {
  let stopping: Promise<void> | undefined;
  const stop = (): void => {
    stopping ??= stopGroup(group);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    const end = await ended;
    if (stopping === undefined) await Promise.race([closed, pause(LINGER_MS)]);
    stop();
    await stopping;
    await Promise.race([closed, pause(LINGER_MS)]);
    signal.throwIfAborted();
    return end;
  } finally {
    signal.removeEventListener("abort", stop);
    // Whoever left the group may hold these open for ever.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
};

/** False when nobody of the group is left. */
const signalGroup = (group: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-group, signal);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
};

const stopGroup = async (group: number): Promise<void> => {
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

interface Guard {
  watch(group: number): void;
  release(): void;
}

/** A small shell outlives this process and stops the group for it: Node cannot ask the kernel to. */
const startGuard = async (): Promise<Guard> => {
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
