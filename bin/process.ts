// What every process of Downbeat does alike: help, configuration, clean stop, exit code.

import { DownbeatError } from "../core/errors.ts";
import { helpText, parseConfig, type Config } from "./config.ts";

export type Cleanup = () => Promise<void>;

export interface ProcessHandle {
  /** Called in reverse order when the process stops. */
  onStop(cleanup: Cleanup): void;
  /** Stops everything and ends the process. */
  stop(code: number): Promise<never>;
}

const FORCE_AFTER_MS = 30_000;

/** Runs a process until it is told to stop. A second signal ends it at once. */
export const runProcess = async (usage: string, main: (config: Config, handle: ProcessHandle) => Promise<void>): Promise<void> => {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    console.log(helpText(usage));
    return;
  }
  const cleanups: Cleanup[] = [];
  let stopping: Promise<never> | undefined;
  const stop = (code: number): Promise<never> => {
    stopping ??= (async () => {
      setTimeout(() => process.exit(code === 0 ? 1 : code), FORCE_AFTER_MS).unref();
      for (const cleanup of cleanups.toReversed()) {
        await cleanup().catch((error: unknown) => console.error(error instanceof Error ? error.message : error));
      }
      process.exit(code);
    })();
    return stopping;
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping !== undefined) process.exit(130);
      void stop(0);
    });
  }
  try {
    await main(parseConfig(process.env), { onStop: (cleanup) => void cleanups.push(cleanup), stop });
  } catch (error) {
    if (stopping !== undefined) return;
    console.error(error instanceof DownbeatError ? `${error.code}: ${error.message}` : error);
    await stop(1);
  }
};
