// Runs one program in a process group of its own, and leaves nothing of the group behind: not on an abort, not at its end, not when this process is killed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { LINGER_MS, startGuard, stopGroup } from "./program-group.ts";

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

/** Settles at the exit; its output may still be under way. */
export const endOf = (child: ChildProcess): Promise<ProgramEnd> =>
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
