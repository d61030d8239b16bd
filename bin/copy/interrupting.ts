// Ctrl-C: the first one stops cleanly, the second one at once.

import { DownbeatError } from "../../core/errors.ts";
import type { Display } from "./display.ts";

export const INTERRUPTED = 130;

/** Launchers pass on a signal that the terminal has sent to everyone already. */
const SAME_PRESS_MS = 500;

export interface Interrupting {
  readonly signal: AbortSignal;
  readonly interrupt: () => void;
}

export const listenForInterrupt = (display: Display): Interrupting => {
  const controller = new AbortController();
  let first = 0;
  const interrupt = (): void => {
    if (controller.signal.aborted) {
      if (Date.now() - first > SAME_PRESS_MS) process.exit(INTERRUPTED);
      return;
    }
    first = Date.now();
    display.note("stopping; once more ends it at once");
    controller.abort(new DownbeatError("CANCELLED", "interrupted"));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return { signal: controller.signal, interrupt };
};
