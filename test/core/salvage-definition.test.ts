// What is told of a definition that does not fit the schema beside that: what its sound parts mean, and nothing that may be wrong only for lack of the others.

import { expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import { catalogue } from "./catalogue.ts";

/** Beside the schema's own faults. */
const foundOf = (...tasks: readonly unknown[]): readonly string[] | undefined => {
  const parsed = checkDefinition({ apiVersion: "downbeat/v1", name: "p", tasks });
  expect(parsed.ok).toBe(false);
  if (parsed.ok || parsed.rest === undefined) return undefined;
  const result = compilePlan(parsed.rest.definition, catalogue);
  return result.ok ? [] : result.issues.filter(parsed.rest.isTrue).map(({ code, path }) => `${code} ${path}`);
};

const from = { connection: "shop", stream: "orders" };
const to = { connection: "warehouse", table: "orders" };

it("options of connectors are checked, wherever else the task is wrong", () => {
  const faulty = { from: { ...from, page: 0, pgae: 1 }, to: { ...to, partitions: "many" } };
  const options = ["UNKNOWN_KEY tasks[0].transfer.from.pgae", "INVALID_OPTIONS tasks[0].transfer.from.page"];
  const all = [...options, "INVALID_OPTIONS tasks[0].transfer.to.partitions"];
  expect(foundOf({ id: "a", transfer: faulty, retry: { attempts: 0 } })).toEqual(all);
  expect(foundOf({ id: "a", transfer: faulty, retrys: {} })).toEqual(all);
  expect(foundOf({ id: "a", transfer: { ...faulty, follow: { every: "soon" } } })).toEqual(all);
  expect(foundOf({ id: "a", transfer: { ...faulty, to: { ...faulty.to, mode: "merg" } } })).toEqual(all);
  expect(foundOf({ id: "a", transfer: { ...faulty, to: { ...faulty.to, key: ["id", 3] } } })).toEqual(all);
});

it("nothing is told that the wrong part may have said", () => {
  // Merge was meant perhaps, and the lookback is sound with it.
  expect(foundOf({ id: "a", transfer: { from: { ...from, cursor: "at", lookback: "1h" }, to: { ...to, mode: "merg" } } })).toEqual([]);
  expect(foundOf({ id: "a", transfer: { from: { ...from, stream: 3 }, to } })).toEqual([]);
  // No operator is left of it.
  expect(foundOf({ id: "a", transfr: { from, to } })).toEqual([]);
});

it("a task that is none without its wrong part keeps nothing from being told of the others", () => {
  const other = { id: "b", transfer: { from: { ...from, page: 0 }, to } };
  expect(foundOf({ id: "a", transfer: { from: 3, to: { ...to, connection: "nowhere" } } }, other)).toEqual([
    "INVALID_OPTIONS tasks[1].transfer.from.page",
  ]);
  expect(foundOf({ id: "a", transfer: { from: {}, to } }, other)).toEqual(["INVALID_OPTIONS tasks[1].transfer.from.page"]);
});

it.each([[null], [3], ["text"], [[]]])("a task that is %j is told as such", (task) => {
  expect(foundOf({ id: "b", transfer: { from, to } }, task)).toBeUndefined();
});
