// A worker's own port: alive for all, figures for those with the key.
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { serveProbe, type WorkerProbe } from "../../bin/worker-probe.ts";

const log = pino({ level: "silent" });
const figures = async (): Promise<string> => "downbeat_runs_total 1\n";
const probes: WorkerProbe[] = [];

const serve = async (apiKey: string | undefined): Promise<string> => {
  const probe = await serveProbe({ workerHost: "127.0.0.1", workerPort: 0, apiKey }, figures, log);
  probes.push(probe);
  return probe.url;
};

afterEach(async () => {
  for (const probe of probes.splice(0)) await probe.close();
});

describe("a worker's port", () => {
  it("answers liveness and figures, and nothing else", async () => {
    const url = await serve(undefined);
    expect(await (await fetch(`${url}/health/live`)).json()).toEqual({ status: "ok" });
    expect(await (await fetch(`${url}/metrics`)).text()).toBe("downbeat_runs_total 1\n");
    expect((await fetch(`${url}/v1/runs`)).status).toBe(404);
  });

  it("gives figures only for the configured key", async () => {
    const url = await serve("a-key-that-is-long-enough");
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    const allowed = await fetch(`${url}/metrics`, { headers: { authorization: "Bearer a-key-that-is-long-enough" } });
    expect(await allowed.text()).toBe("downbeat_runs_total 1\n");
  });

  it("says which port is taken", async () => {
    const port = Number(new URL(await serve(undefined)).port);
    await expect(serveProbe({ workerHost: "127.0.0.1", workerPort: port, apiKey: undefined }, figures, log)).rejects.toThrow(/EADDRINUSE/);
  });
});
