// What every process of Downbeat does alike: help, configuration, clean stop, exit code.

import { DownbeatError } from "../core/errors.ts";
import { helpText, parseConfig, type Config } from "./config.ts";

export type Cleanup = () => Promise<void>;

export interface ProcessHandle {
  /** Called in reverse order when the process stops. Throws when it is stopping already, so that nothing more is started. */
  onStop(cleanup: Cleanup): void;
  /** Stops everything and ends the process. */
  stop(code: number): Promise<never>;
}

const FORCE_AFTER_MS = 30_000;

class StoppingError extends Error {
  override readonly name = "StoppingError";
}

/** Runs a process until it is told to stop. A second signal ends it at once. */
export const runProcess = async (usage: string, main: (config: Config, handle: ProcessHandle) => Promise<void>): Promise<void> => {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    console.log(helpText(usage));
    return;
  }
  const cleanups: Cleanup[] = [];
  let isStopping = false;
  const cleanUp = async (): Promise<void> => {
    for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
      await cleanup().catch((error: unknown) => console.error(error instanceof Error ? error.message : error));
    }
  };
  const stop = async (code: number, running: Promise<void>): Promise<never> => {
    isStopping = true;
    setTimeout(() => process.exit(code === 0 ? 1 : code), FORCE_AFTER_MS).unref();
    await cleanUp();
    // What was just being started registers itself once it is up, and has to be stopped as well.
    await running;
    await cleanUp();
    process.exit(code);
  };
  const onStop = (cleanup: Cleanup): void => {
    cleanups.push(cleanup);
    if (isStopping) throw new StoppingError("the process is stopping");
  };
  const run = async (): Promise<void> => {
    try {
      await main(parseConfig(process.env), { onStop, stop: (code) => stop(code, Promise.resolve()) });
    } catch (error) {
      // While everything ends, whatever still runs may fail.
      if (isStopping) return;
      console.error(error instanceof DownbeatError ? `${error.code}: ${error.message}` : error);
      await stop(1, Promise.resolve());
    }
  };
  const running = run();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(130);
      void stop(0, running);
    });
  }
  await running;
};
