// Limits and circuit breakers of connections over HTTP: kept, shown, told to their owners, given to the runs that are started from then on.

import { describe, expect, it } from "vitest";
import { hear } from "../../core/circuit.ts";
import { emptySlots, requestSlot } from "../../core/slots.ts";
import { definitionOf, useApi } from "./kit.ts";

const breaker = { failures: 2, within: "1m", open_for: "30s" };
const policy = { failures: 2, withinMs: 60_000, openForMs: 30_000 };

describe("the limits of a connection", () => {
  const api = useApi();
  const config = { host: "h" };

  it("are none to begin with, and nobody is asked", async () => {
    expect(await api().send("PUT", "/v1/connections/api", { kind: "sample", config })).toMatchObject({
      status: 201,
      body: { max_concurrent: null, circuit_breaker: null },
    });
    expect((await api().send("GET", "/v1/connections/api")).body).toMatchObject({ holders: [], waiting: [], circuit: null });
    expect(api().orchestrator.limited).toEqual([]);
    await api().send("PUT", "/v1/pipelines/calls", definitionOf("calls"));
    await api().send("POST", "/v1/pipelines/calls/runs", {});
    expect(api().orchestrator.started.at(-1)?.plan.tasks[0]).not.toHaveProperty("connections");
  });

  it("are set, changed and removed, each at once for its owner, and hold for runs that start from then on", async () => {
    const { send, orchestrator } = api();
    const body = { kind: "sample", config, max_concurrent: 3, circuit_breaker: breaker };
    expect(await send("PUT", "/v1/connections/api", body)).toMatchObject({
      status: 200,
      body: { max_concurrent: 3, circuit_breaker: { failures: 2, within: "60s", open_for: "30s" } },
    });
    await send("POST", "/v1/pipelines/calls/runs", {});
    expect(orchestrator.started.at(-1)?.plan.tasks[0]?.connections).toEqual([{ name: "api" }]);
    expect((await send("PATCH", "/v1/connections/api", { max_concurrent: 5 })).body).toMatchObject({
      max_concurrent: 5,
      circuit_breaker: { failures: 2 },
      config,
    });
    expect((await send("PATCH", "/v1/connections/api", { max_concurrent: null, circuit_breaker: null })).status).toBe(200);
    expect(orchestrator.limited).toEqual([
      { connection: "api", limits: { maxConcurrent: 3, breaker: policy } },
      { connection: "api", limits: { maxConcurrent: 5, breaker: policy } },
      { connection: "api", limits: null },
    ]);
    await send("POST", "/v1/pipelines/calls/runs", {});
    expect(orchestrator.started.at(-1)?.plan.tasks[0]).not.toHaveProperty("connections");
  });

  it("show who holds, who waits and what the circuit does; somebody closes it, on record", async () => {
    const { send, orchestrator } = api();
    await send("PATCH", "/v1/connections/api", { max_concurrent: 1, circuit_breaker: breaker });
    const now = Date.now();
    let slots = emptySlots(1);
    for (const run of ["r1", "r2"])
      ({ slots } = requestSlot(slots, { key: `downbeat/run/p/${run}#load`, owner: `downbeat/run/p/${run}`, priority: 3 }, now));
    let circuit = hear({ state: "closed", failures: [] }, policy, "unwell", now, now);
    const reset = { by: "ann", at: "2026-01-01T00:00:00.000Z" };
    orchestrator.owners.set("api", { pool: "connection/api", slots, breaker: { policy, circuit }, reset });
    expect((await send("GET", "/v1/connections/api")).body).toMatchObject({
      holders: [{ task: "load", workflow: "downbeat/run/p/r1" }],
      waiting: [{ task: "load", workflow: "downbeat/run/p/r2" }],
      circuit: { state: "closed", failures: 1, since: null, last_reset: { by: "ann", why: null } },
    });
    circuit = hear(circuit, policy, "unwell", now, now);
    orchestrator.owners.set("api", { pool: "connection/api", slots, breaker: { policy, circuit } });
    expect((await send("GET", "/v1/connections/api")).body).toMatchObject({
      circuit: { state: "open", since: new Date(now).toISOString(), until: new Date(now + 30_000).toISOString(), last_reset: null },
    });
    expect(await send("POST", "/v1/connections/api/reset", { by: "bob", why: "mended" })).toMatchObject({
      status: 200,
      body: { name: "api", reset: { by: "bob", why: "mended" } },
    });
    expect(orchestrator.resets).toMatchObject([{ connection: "api", reset: { by: "bob", why: "mended" } }]);
  });

  it("are refused with what is wrong; without a breaker nothing can be reset", async () => {
    const { send } = api();
    for (const wrong of [
      { max_concurrent: -1 },
      { max_concurrent: 1.5 },
      { circuit_breaker: { failures: 0, within: "1m", open_for: "30s" } },
      { circuit_breaker: { failures: 1, within: "soon", open_for: "30s" } },
      { circuit_breaker: { failures: 1, within: "1m" } },
    ])
      expect([wrong, (await send("PATCH", "/v1/connections/api", wrong)).status]).toEqual([wrong, 400]);
    await send("PATCH", "/v1/connections/api", { circuit_breaker: null });
    expect(await send("POST", "/v1/connections/api/reset", {})).toMatchObject({ status: 409, body: { code: "ACTION_REFUSED" } });
    expect((await send("POST", "/v1/connections/nowhere/reset", {})).status).toBe(404);
  });
});
