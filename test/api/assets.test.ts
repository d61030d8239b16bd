// Assets over HTTP: listed by page and prefix, shown with their updates, with a / in their names.

import { describe, expect, it } from "vitest";
import { useApi } from "./kit.ts";

describe("assets", () => {
  const api = useApi();

  const make = async (id: string, finishedAt: string, assets: readonly string[]): Promise<void> => {
    const { runs } = api().store;
    await runs.create({ id, pipeline: "maker", version: 1, planHash: "h", origin: id, trigger: "http", params: {} });
    const task = { taskId: "load", status: "succeeded", attempts: 1, finishedAt, metrics: { rows: 5 }, assets } as const;
    await runs.apply({ runId: id, seq: 1, status: "succeeded", tasks: [task], attempts: [] });
  };

  it("are listed by name, and each with its updates", async () => {
    const { send } = api();
    await make("r1", "2026-01-01T00:00:00.000Z", ["warehouse/raw.orders", "lake/clean"]);
    await make("r2", "2026-01-02T00:00:00.000Z", ["warehouse/raw.orders"]);
    const all = (await send("GET", "/v1/assets?limit=1")).body as { items: unknown[]; next: string };
    expect(all.items).toMatchObject([{ name: "lake/clean", updates: 1 }]);
    expect((await send("GET", `/v1/assets?limit=1&cursor=${all.next}`)).body).toMatchObject({
      items: [{ name: "warehouse/raw.orders", pipeline: "maker", updates: 2, last: { run: "r2", task: "load", rows: 5 } }],
      next: null,
    });
    expect((await send("GET", "/v1/assets?prefix=lake/")).body).toMatchObject({ items: [{ name: "lake/clean" }] });
    const { links } = (await send("GET", "/v1/assets/warehouse%2Fraw.orders")).body as { links: { self: string } };
    expect(links.self).toBe("/v1/assets/warehouse%2Fraw.orders");
    const first = (await send("GET", `${links.self}/updates?limit=1`)).body as { items: unknown[]; next: string };
    expect(first.items).toEqual([{ at: "2026-01-02T00:00:00.000Z", run: "r2", task: "load", rows: 5, links: { run: "/v1/runs/r2" } }]);
    expect((await send("GET", `${links.self}/updates?cursor=${first.next}`)).body).toMatchObject({ items: [{ run: "r1" }], next: null });
  });

  it("that nothing has made are not found", async () => {
    const { send } = api();
    expect(await send("GET", "/v1/assets/warehouse%2Fnothing")).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    expect(await send("GET", "/v1/assets/warehouse%2Fnothing/updates")).toMatchObject({ status: 404 });
    expect(await send("GET", "/v1/assets?colour=red")).toMatchObject({ status: 400 });
  });
});
