// Ports on loopback: a free one, or the first free one from a wanted one on.

import { createServer } from "node:net";

const isFree = (port: number, host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * Below the range that systems take for outgoing connections and for servers that ask for any port (Linux from 32768, others from
 * 49152): a server that needs seconds to start may find a port of that range taken by then.
 */
const FIRST = 16_000;
const COUNT = 16_000;
const ATTEMPTS = 100;

const given = new Set<number>();

/** A port that nobody listens on, and that this process was not given before. */
export const freePort = async (host = "127.0.0.1"): Promise<number> => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no port is free on ${host}`);
};

/** The wanted port, or the next one that is free. */
export const portFrom = async (wanted: number, host = "127.0.0.1"): Promise<number> => {
  for (let port = wanted; port < wanted + ATTEMPTS && port < 65_536; port += 1) {
    if (await isFree(port, host)) return port;
  }
  return freePort(host);
};
