// Runs one program whose standard output is taken as fast as its reader likes: a program that nobody reads from waits. Leaves nothing of it behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { LINGER_MS, startGuard, stopGroup } from "./program-group.ts";
import { endOf, type Program, type ProgramEnd } from "./run-program.ts";

export interface StreamedProgram extends AsyncDisposable {
  /** Ends with the program; rejects with the signal's reason after an abort. */
  readonly output: AsyncIterable<Buffer>;
  /** How it ended: to be asked after the output's end. */
  end(): Promise<ProgramEnd>;
}

/** Rejects with the system's error when the program cannot be started. Disposing stops what still runs. */
export const streamProgram = async (
  { file, args, cwd, env }: Omit<Program, "stdin">,
  signal: AbortSignal,
  onError: (text: string) => void,
): Promise<StreamedProgram> => {
  signal.throwIfAborted();
  const guard = await startGuard();
  const child = spawn(file, [...args], { cwd, env: { ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = endOf(child);
  const closed = once(child, "close");
  closed.catch(() => undefined);
  const group = child.pid;
  if (group === undefined) {
    guard.release();
    await ended;
    throw new Error(`${file} did not start`);
  }
  guard.watch(group);
  child.stderr.setEncoding("utf8").on("data", onError);
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= stopGroup(group));
  const onAbort = (): void => void stop();
  signal.addEventListener("abort", onAbort, { once: true });
  const gone = ended.then(async (end) => {
    await Promise.race([closed, stopping ?? pause(LINGER_MS)]);
    await stop();
    return end;
  });
  gone.catch(() => undefined);

  let taken = 0;
  /** Whoever left the group may hold the output open for ever: nothing of it is waited for. */
  const closeWhenIdle = async (): Promise<void> => {
    await gone;
    for (let before = -1; !child.stdout.closed; before = taken) {
      if (before === taken && child.stdout.readableLength === 0) child.stdout.destroy();
      await pause(LINGER_MS, undefined, { ref: false });
    }
  };
  closeWhenIdle().catch(() => undefined);

  return {
    output: (async function* () {
      try {
        for await (const piece of child.stdout) {
          signal.throwIfAborted();
          taken += 1;
          yield piece as Buffer;
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
      }
      signal.throwIfAborted();
    })(),
    async end() {
      const end = await gone;
      await Promise.race([closed, pause(LINGER_MS)]);
      signal.throwIfAborted();
      return end;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      await stop();
      child.stdout.destroy();
      child.stderr.destroy();
      guard.release();
    },
  };
};
