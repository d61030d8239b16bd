// Pools over HTTP: created, resized, shown with holders, deleted when no pipeline uses them.

import { describe, expect, it } from "vitest";
import { requestSlot, type Slots } from "../../core/slots.ts";
import { useApi } from "./kit.ts";

const definition = (pool: string): string => `apiVersion: downbeat/v1
name: pooled
tasks:
  - id: a
    pool: ${pool}
    http: { connection: api }
`;

describe("pools", () => {
  const api = useApi();

  it("are created, changed, and their owner is told", async () => {
    const { send, orchestrator } = api();
    expect(await send("PUT", "/v1/pools/slow", { slots: 2, description: "the old database" })).toMatchObject({
      status: 201,
      body: { name: "slow", slots: 2, description: "the old database" },
    });
    expect(await send("PUT", "/v1/pools/slow", { slots: 1 })).toMatchObject({ status: 200, body: { slots: 1 } });
    expect(orchestrator.pools.get("slow")?.capacity).toBe(1);
    expect((await send("GET", "/v1/pools")).body).toMatchObject({ items: [{ name: "slow", slots: 1 }], next: null });
  });

  it("show who holds their slots and who waits", async () => {
    const { send, orchestrator } = api();
    let slots = orchestrator.pools.get("slow") as Slots;
    for (const [now, run] of ["r1", "r2"].entries())
      ({ slots } = requestSlot(slots, { key: `downbeat/run/p/${run}#load`, owner: `downbeat/run/p/${run}`, priority: 3 }, now));
    orchestrator.pools.set("slow", slots);
    expect((await send("GET", "/v1/pools/slow")).body).toMatchObject({
      holders: [{ task: "load", workflow: "downbeat/run/p/r1", priority: 3 }],
      waiting: [{ task: "load", workflow: "downbeat/run/p/r2" }],
      total: { holders: 1, waiting: 1 },
    });
  });

  it("say how many hold and wait, where their owner lists some alone", async () => {
    const { send, orchestrator } = api();
    orchestrator.poolTotal = { holders: 1, waiting: 1_500 };
    const { body } = await send("GET", "/v1/pools/slow");
    orchestrator.poolTotal = undefined;
    expect(body).toMatchObject({ waiting: [{ task: "load" }], total: { holders: 1, waiting: 1_500 } });
  });

  it("are checked in definitions, and stay while a pipeline uses them", async () => {
    const { send } = api();
    await send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
    expect(await send("PUT", "/v1/pipelines/pooled", definition("slwo"))).toMatchObject({
      status: 422,
      body: { issues: [{ code: "UNKNOWN_POOL", known: ["slow"] }] },
    });
    expect((await send("PUT", "/v1/pipelines/pooled", definition("slow"))).status).toBe(201);
    expect(await send("DELETE", "/v1/pools/slow")).toMatchObject({ status: 409, body: { details: { pipelines: ["pooled"] } } });
    await send("PUT", "/v1/pools/other", { slots: 5 });
    await send("PUT", "/v1/pipelines/pooled", definition("other"));
    expect((await send("DELETE", "/v1/pools/slow")).status).toBe(204);
    expect((await send("GET", "/v1/pools/slow")).status).toBe(404);
    expect((await send("DELETE", "/v1/pools/slow")).status).toBe(404);
  });

  it("are refused with what is wrong", async () => {
    for (const [name, body] of [
      ["Slow", { slots: 1 }],
      ["slow", { slots: -1 }],
      ["slow", {}],
      ["slow", { slots: 1, size: 2 }],
    ] as const)
      expect([name, body, (await api().send("PUT", `/v1/pools/${name}`, body)).status]).toEqual([name, body, 400]);
  });
});
