import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { freePort, portFrom } from "../../bin/ports.ts";

let listening: Server | undefined;

const listen = async (port: number): Promise<void> => {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, resolve);
  });
  listening = server;
};

afterEach(() => {
  listening?.close();
  listening = undefined;
});

test("free ports are below those that systems give to outgoing connections, and none is given twice", async () => {
  const ports: number[] = [];
  for (let count = 0; count < 300; count += 1) ports.push(await freePort());
  expect(Math.max(...ports)).toBeLessThan(32_768);
  expect(Math.min(...ports)).toBeGreaterThan(1_023);
  expect(new Set(ports).size).toBe(ports.length);
});

test("a wanted port that is taken gives the next one", async () => {
  const port = await freePort();
  expect(await portFrom(port)).toBe(port);
  await listen(port);
  expect(await portFrom(port)).toBeGreaterThan(port);
});
