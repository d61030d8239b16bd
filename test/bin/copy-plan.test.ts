// Which earlier call a copy goes on with, and what it refuses: decided from what the destination tells.

import { describe, expect, it } from "vitest";
import { parseCopyArguments } from "../../bin/copy/arguments.ts";
import { type End, resolveEnd } from "../../bin/copy/end.ts";
import { type Plan, planTables } from "../../bin/copy/plan.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import type { Destination, Source, TargetState } from "../../connectors/connector.ts";
import { builtinConnectors } from "../../connectors/registry.ts";

const endOf = (role: "source" | "destination", url: string): End => {
  const deps = { catalogue: createCatalogue(builtinConnectors), env: {}, baseDir: "/work" };
  const { end, faults } = resolveEnd(role, { url, configFile: undefined, options: [], passwordEnv: undefined }, deps);
  if (end === undefined) throw new Error(faults.join("\n"));
  return end;
};
const from = endOf("source", "mysql://u@h/d");
const to = endOf("destination", "postgres://u@h/d");

/** What the destination knows of each table; of the others nothing. */
const plan = (states: Readonly<Record<string, TargetState>>, ...argv: readonly string[]): Promise<Plan> => {
  const { args } = parseCopyArguments(["mysql://u@h/d", "postgres://u@h/d", ...argv]);
  const destination: Destination = {
    describeTarget: ({ table }) => Promise.resolve(states[table] ?? { exists: false }),
    openLoad: () => Promise.reject(new Error("planning loads nothing")),
  };
  const source = { estimateRows: () => Promise.reject(new Error("estimates are no more than a comfort")) } as unknown as Source;
  const streams = ["a", "b"].map((name) => ({ name, table: name }));
  return planTables({ args, from, to, streams, source, destination, failpoint: () => Promise.resolve() });
};

const APPEND = ["--mode", "append"];
const originOf = async (...argv: readonly string[]): Promise<string> => (await plan({}, ...argv)).tables[0]?.target.origin ?? "";
const load = (origin: string, rows: number, done: boolean, staged = false): NonNullable<TargetState["lastLoad"]> => ({
  origin,
  rows,
  done,
  staged,
});
const origins = ({ tables, refusals }: Plan): readonly string[] => {
  expect(refusals).toEqual([]);
  return tables.map(({ target }) => target.origin);
};

describe("a plan of a copy", () => {
  it("begins a run for all tables, under keys of their own that no password and no option changes", async () => {
    const { tables } = await plan({});
    expect(tables.map(({ target }) => target.key)).toEqual(["copy/mysql://h/d/a/a", "copy/mysql://h/d/b/b"]);
    expect(new Set(tables.map(({ target }) => target.origin)).size).toBe(1);
    expect(tables.map(({ target }) => target.mode)).toEqual(["replace", "replace"]);
    expect((await plan({}, ...APPEND)).tables[0]?.target).toMatchObject({
      mode: "append",
      incremental: false,
      key: "copy/mysql://h/d/a/a",
    });
    expect((await plan({}, ...APPEND, "--cursor", "at")).tables[0]?.target.incremental).toBe(true);
  });

  it("goes on with a call that has not copied everything, and begins anew after one that has", async () => {
    const before = await originOf(...APPEND);
    const half = { a: { exists: true, lastLoad: load(before, 10, true) }, b: { exists: true, lastLoad: load(before, 5, false) } } as const;
    const going = await plan(half, ...APPEND);
    expect(origins(going)).toEqual([before, before]);
    expect(going.tables.map(({ isDone }) => isDone)).toEqual([true, false]);
    expect(origins(await plan({ a: half.a }, ...APPEND))).toEqual([before, before]);
    const whole = await plan({ ...half, b: { exists: true, lastLoad: load(before, 5, true) } }, ...APPEND);
    expect(origins(whole)).not.toContain(before);
    expect(whole.tables.map(({ isDone }) => isDone)).toEqual([false, false]);
    expect(origins(await plan(half, ...APPEND, "--restart"))).not.toContain(before);
  });

  it("begins anew where somebody has dropped what was copied, but not where rows wait beside the table", async () => {
    const before = await originOf(...APPEND);
    expect(origins(await plan({ a: { exists: false, lastLoad: load(before, 10, true) } }, ...APPEND))).not.toContain(before);
    expect(origins(await plan({ a: { exists: false, lastLoad: load(before, 10, false) } }, ...APPEND))).not.toContain(before);
    const created = await originOf();
    expect(origins(await plan({ a: { exists: false, lastLoad: load(created, 10, false, true) } }))).toEqual([created, created]);
  });

  it("refuses tables that are there, all of them at once, when it is not told what to do with them", async () => {
    const { refusals } = await plan({ a: { exists: true }, b: { exists: true } });
    expect(refusals).toEqual([expect.stringContaining("the table a is in"), expect.stringContaining("the table b is in")]);
    expect((await plan({ a: { exists: true } }, "--mode", "replace")).refusals).toEqual([]);
  });

  it("refuses to double what another interrupted copy has appended, and only that", async () => {
    const other = { exists: true, lastLoad: load("copy-other-1", 10, false) };
    expect((await plan({ a: other }, ...APPEND)).refusals).toEqual([expect.stringContaining("has left 10 rows in the table a")]);
    expect((await plan({ a: other }, ...APPEND, "--restart")).refusals).toEqual([]);
    expect((await plan({ a: other }, ...APPEND, "--cursor", "at")).refusals).toEqual([]);
    expect((await plan({ a: other }, "--mode", "merge", "--key", "id")).refusals).toEqual([]);
    expect((await plan({ a: { ...other, lastLoad: load("x", 10, true) } }, ...APPEND)).refusals).toEqual([]);
  });
});
