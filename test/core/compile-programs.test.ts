// What compile makes of programs and files, and what it finds wrong with them.
import { describe, expect, it } from "vitest";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition } from "../../core/definition.ts";
import { catalogue } from "./catalogue.ts";

type Config = Readonly<Record<string, unknown>>;

const compile = (task: Config) => {
  const parsed = checkDefinition({
    apiVersion: "downbeat/v1",
    name: "p",
    params: { properties: { day: {} } },
    tasks: [{ id: "a", ...task }],
  });
  return parsed.ok ? compilePlan(parsed.definition, catalogue) : parsed;
};
const faultsOf = (task: Config): readonly unknown[] => {
  const result = compile(task);
  return result.ok ? [] : result.issues.map(({ code, path, message }) => [code, path, message]);
};
const containing = (text: string): unknown => expect.stringContaining(text);

describe("command", () => {
  it("compiles with its defaults and a summary", () => {
    const result = compile({ command: { run: ["python3", "etl.py", 5] } });
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    expect(result.compiled.plan.tasks[0]).toMatchObject({ operator: "command", summary: "a: runs python3 etl.py 5" });
    expect(result.compiled.configs["a"]).toEqual({
      run: ["python3", "etl.py", 5],
      shell: false,
      env: {},
      output: "none",
      success_codes: [0],
    });
  });

  it.each<[string, Config, string, string]>([
    ["no program", { run: [] }, "tasks[0].command.run", ""],
    ["a program without a name", { run: [" "] }, "tasks[0].command.run[0]", "names no program"],
    ["a text instead of a list", { run: "ls -l" }, "tasks[0].command.run", "expected array"],
    ["an expression in a shell line", { run: ["echo ${{ params.day }}"], shell: true }, "tasks[0].command.run[0]", '"$1"'],
    ["an unknown kind of output", { run: ["ls"], output: "lines" }, "tasks[0].command.output", "not allowed"],
    ["a code that no program has", { run: ["ls"], success_codes: [256] }, "tasks[0].command.success_codes[0]", "255"],
    ["a search path of its own", { run: ["ls"], env: { PATH: "/evil" } }, "tasks[0].command.env.PATH", "cannot be set"],
    ["a library to be loaded", { run: ["ls"], env: { LD_PRELOAD: "x.so" } }, "tasks[0].command.env.LD_PRELOAD", "cannot be set"],
    [
      "one of Downbeat's variables",
      { run: ["ls"], env: { DOWNBEAT_RUN_ID: "x" } },
      "tasks[0].command.env.DOWNBEAT_RUN_ID",
      "cannot be set",
    ],
  ])("refuses %s", (_, command, path, message) => {
    expect(faultsOf({ command })).toEqual([["INVALID_VALUE", path, containing(message)]]);
  });

  it("refuses what is no name of a variable, and further keys of a reference", () => {
    expect(faultsOf({ command: { run: ["ls"], env: { "A-B": "x" } } })).toEqual([
      ["INVALID_VALUE", "tasks[0].command.env.A-B", containing("letters")],
    ]);
    expect(faultsOf({ command: { run: ["ls"], env: { A: { env: "X", file: "y" } } } })).toEqual([
      [expect.anything(), containing("tasks[0].command.env.A"), expect.anything()],
    ]);
  });

  it("takes expressions as arguments of a shell line", () => {
    expect(faultsOf({ command: { run: ['echo "$1"', "${{ params.day }}"], shell: true } })).toEqual([]);
  });
});

describe("file", () => {
  const to = { path: "out/" };

  it("compiles with a summary and its connections", () => {
    const result = compile({ file: { action: "copy", from: { connection: "lake", glob: "in/*" }, to } });
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    expect(result.compiled.plan.tasks[0]).toMatchObject({ operator: "file", summary: "a: copy lake/in/* → out/" });
    expect(result.compiled.connections).toEqual(["lake"]);
  });

  it.each<[string, Config, string, string, string]>([
    ["neither path nor glob", { action: "delete", from: {} }, "MISSING_KEY", "tasks[0].file.from", "path or glob"],
    ["both", { action: "delete", from: { path: "a", glob: "b" } }, "INVALID_VALUE", "tasks[0].file.from", "path or glob"],
    ["a copy to nowhere", { action: "copy", from: { path: "a" } }, "MISSING_KEY", "tasks[0].file", '"to"'],
    ["a delete to somewhere", { action: "delete", from: { path: "a" }, to }, "INVALID_VALUE", "tasks[0].file.to", 'no "to"'],
    [
      "exists that overwrites",
      { action: "exists", from: { path: "a" }, overwrite: "skip" },
      "INVALID_VALUE",
      "tasks[0].file.overwrite",
      "overwrites nothing",
    ],
    ["a glob into one file", { action: "move", from: { glob: "*" }, to: { path: "b" } }, "INVALID_VALUE", "tasks[0].file.to.path", '"/"'],
    [
      "a connection without files",
      { action: "copy", from: { connection: "warehouse", path: "a" }, to },
      "ROLE_MISMATCH",
      "tasks[0].file.from.connection",
      "files",
    ],
    [
      "an unknown connection",
      { action: "copy", from: { path: "a" }, to: { connection: "lak", path: "b" } },
      "UNKNOWN_CONNECTION",
      "tasks[0].file.to.connection",
      '"lake"',
    ],
    ["an unknown action", { action: "remove", from: { path: "a" } }, "INVALID_VALUE", "tasks[0].file.action", "not allowed"],
  ])("refuses %s", (_, config, code, path, message) => {
    expect(faultsOf({ file: config })).toEqual([[code, path, containing(message)]]);
  });
});
