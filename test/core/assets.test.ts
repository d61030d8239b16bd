// Which assets a task makes, and what a wait for one is compiled to.

import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { parseDefinition } from "../../core/definition.ts";
import { catalogue } from "./catalogue.ts";

const compile = (tasks: string) => {
  const parsed = parseDefinition(`apiVersion: downbeat/v1\nname: made\ntasks:\n${tasks}`);
  if (!parsed.ok) return { ok: false as const, issues: parsed.issues };
  return compilePlan(parsed.definition, catalogue, parsed.locate);
};

const assetsOf = (tasks: string) => {
  const compiled = compile(tasks);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return Object.fromEntries(compiled.compiled.plan.tasks.map(({ id, assets }) => [id, assets]));
};

describe("assets", () => {
  it("are the table that a transfer or publish loads, and what the definition names", () => {
    expect(
      assetsOf(`
  - { id: load, transfer: { from: { connection: shop, stream: orders }, to: { connection: warehouse, table: raw.orders } } }
  - { id: two, assets: [lake/clean, warehouse/raw.orders], transfer: { from: { connection: shop, stream: o }, to: { connection: warehouse, table: raw.orders } } }
  - { id: late, transfer: { from: { connection: shop, stream: o }, to: { connection: warehouse, table: "\${{ run.id }}" } } }
  - { id: model, assets: [warehouse/mart.revenue], sql: { connection: warehouse, query: select 1 } }
  - { id: plain, sql: { connection: warehouse, query: select 1 } }
`),
    ).toEqual({
      load: ["warehouse/raw.orders"],
      two: ["warehouse/raw.orders", "lake/clean"],
      late: undefined,
      model: ["warehouse/mart.revenue"],
      plain: undefined,
    });
  });

  it("are waited for, newer than the run unless a moment is given", () => {
    const compiled = compile("  - { id: w, wait: { asset: { name: warehouse/raw.orders } } }");
    expect(compiled).toMatchObject({ ok: true, compiled: { configs: { w: { asset: { newer_than: "${{ run.triggeredAt }}" } } } } });
    expect(compile("  - { id: w, wait: { asset: { name: a, newer_than: yesterday }, for: 1h } }")).toMatchObject({
      ok: false,
      issues: [
        { code: "INVALID_VALUE", path: "tasks[0].wait" },
        { code: "INVALID_VALUE", path: "tasks[0].wait.asset.newer_than" },
      ],
    });
  });
});
