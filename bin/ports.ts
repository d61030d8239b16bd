// Ports on loopback: a free one, or the first free one from a wanted one on.

import { createServer } from "node:net";

const tryPort = (port: number, host: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });

export const freePort = async (host = "127.0.0.1"): Promise<number> => {
  const port = await tryPort(0, host);
  if (port === undefined) throw new Error(`no port is free on ${host}`);
  return port;
};

const ATTEMPTS = 100;

/** The wanted port, or the next one that is free. */
export const portFrom = async (wanted: number, host = "127.0.0.1"): Promise<number> => {
  for (let port = wanted; port < wanted + ATTEMPTS && port < 65_536; port += 1) {
    if ((await tryPort(port, host)) !== undefined) return port;
  }
  return freePort(host);
};
