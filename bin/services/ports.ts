// Free loopback ports, and waiting for a real answer instead of sleeping.
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const LOOPBACK = "127.0.0.1";

/** Whether a server may listen on the port now; 0 asks the system for any. Resolves with the port, or undefined when it is taken. */
const tryPort = (port: number): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === "object" && address !== null ? address.port : port;
      server.close(() => resolve(found));
    });
  });

/** The preferred port, or the next free one after it; without a preference any free port. */
export const freePort = async (preferred?: number, avoid: readonly number[] = []): Promise<number> => {
  if (preferred !== undefined) {
    for (let port = preferred; port < Math.min(preferred + 100, 65_536); port += 1) {
      if (!avoid.includes(port) && (await tryPort(port)) !== undefined) return port;
    }
  }
  for (;;) {
    const port = await tryPort(0);
    if (port !== undefined && !avoid.includes(port)) return port;
  }
};

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
