// `npx downbeat`: the launcher, its help and its exit codes.

import { execFile } from "node:child_process";
import path from "node:path";
import { describe, expect, it } from "vitest";

const launcher = path.resolve(import.meta.dirname, "../../bin/downbeat.js");

const downbeat = (...args: readonly string[]) =>
  new Promise<{ readonly code: number; readonly out: string; readonly err: string }>((resolve) => {
    execFile(process.execPath, [launcher, ...args], { timeout: 60_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, out, err });
    });
  });

describe("downbeat", () => {
  it("helps, also with a command", async () => {
    expect(await downbeat("--help")).toMatchObject({ code: 0, err: "", out: expect.stringContaining("copy   copies tables") as unknown });
    const help = await downbeat("copy", "--help");
    expect(help).toMatchObject({ code: 0, err: "" });
    for (const text of ["mysql://user@host:3306/database", "./orders.csv", "--all-tables", "--restart"]) expect(help.out).toContain(text);
  });

  it("refuses what it does not know with 2, and says what there is", async () => {
    expect(await downbeat()).toMatchObject({ code: 2, out: "", err: expect.stringContaining("downbeat COMMAND") as unknown });
    expect(await downbeat("cpoy")).toMatchObject({ code: 2, err: expect.stringContaining('there is no command "cpoy"') as unknown });
    const wrong = await downbeat("copy", "mysql://u:geheim@h", "out.csv", "--table", "x", "--mdoe", "append");
    expect(wrong).toMatchObject({ code: 2, out: "" });
    for (const text of ["did you mean --mode?", "database is missing", "Local files is no destination"]) expect(wrong.err).toContain(text);
    expect(wrong.err).not.toContain("geheim");
  });
});
