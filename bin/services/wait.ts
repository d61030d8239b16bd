// Waiting for a real answer instead of sleeping.
import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  readonly timeoutMs: number;
  /** Looked at between two tries: a text ends the wait at once, for example because the process has ended. */
  readonly givenUp?: () => string | undefined;
}

/** Repeats the probe until it does not throw. The error tells what it last said. */
export const waitUntil = async <T>(probe: () => Promise<T>, options: WaitOptions): Promise<T> => {
  const until = Date.now() + options.timeoutMs;
  let last: unknown;
  for (let wait = 20; ; wait = Math.min(wait * 1.5, 250)) {
    const gone = options.givenUp?.();
    if (gone !== undefined) throw new Error(gone, { cause: last });
    try {
      return await probe();
    } catch (error) {
      last = error;
    }
    if (Date.now() >= until) {
      const why = last instanceof Error ? last.message || last.name : String(last);
      throw new Error(`no answer within ${Math.round(options.timeoutMs / 1_000)} s (${why})`, { cause: last });
    }
    await pause(wait);
  }
};
