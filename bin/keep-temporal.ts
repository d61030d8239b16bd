// Temporal as a child of `npm start`: started or adopted, and started again at the same address when it dies.

import { startTemporal, type RunningTemporal, type TemporalOptions } from "./services/temporal.ts";
import type { Say } from "./services/say.ts";

const LOOK_EVERY_MS = 1_000;
const AFTER_FAILURE_MS = 5_000;

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const portOf = (url: string): number => Number(new URL(url).port);

export const keepTemporal = async (options: TemporalOptions, say: Say): Promise<RunningTemporal> => {
  let server = await startTemporal(options);
  const { address, uiUrl, adopted } = server;
  const again: TemporalOptions = { ...options, port: portOf(`http://${address}`), uiPort: portOf(uiUrl) };
  let isStopping = false;
  let timer: NodeJS.Timeout;
  let looking = Promise.resolve();
  const restart = async (): Promise<void> => {
    say(`Temporal is gone; it is started again at ${address}`);
    server = await startTemporal(again);
    if (server.address === address) return;
    await server.stop();
    throw new Error(`${address} is taken by another process; free that port, or stop and start everything`);
  };
  const look = async (): Promise<void> => {
    let pause = LOOK_EVERY_MS;
    try {
      if (!isAlive(server.pid)) await restart();
    } catch (error) {
      say(`Temporal could not be started again: ${error instanceof Error ? error.message : String(error)}`);
      pause = AFTER_FAILURE_MS;
    }
    if (!isStopping) plan(pause);
  };
  const plan = (milliseconds: number): void => {
    timer = setTimeout(() => {
      looking = look();
    }, milliseconds);
    timer.unref();
  };
  plan(LOOK_EVERY_MS);
  return {
    address,
    uiUrl,
    adopted,
    get pid() {
      return server.pid;
    },
    async stop() {
      isStopping = true;
      clearTimeout(timer);
      await looking;
      await server.stop();
    },
  };
};
