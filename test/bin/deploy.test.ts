// `npm run deploy` as a user runs it, against the real app: YAML and TypeScript, what changed, every fault with its place, exit codes.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { definitionOf, useApi } from "../api/kit.ts";

const KEY = "a-key-that-is-long-enough";
const api = useApi({ apiKey: KEY });
const root = path.resolve(import.meta.dirname, "../..");
// Inside the project, since "downbeat/pipeline" is found there alone; git ignores it.
mkdirSync(path.join(root, "tmp"), { recursive: true });
const folder = mkdtempSync(path.join(root, "tmp/deploy-"));

const write = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

const deploy = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
    const options = { cwd: root, env: { ...process.env, DOWNBEAT_API_KEY: KEY, ...env }, timeout: 60_000 };
    execFile(process.execPath, [path.join(root, "bin/deploy.ts"), "--api", api().url, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, output: stdout + stderr });
    });
  });

const builtOf = (name: string, route: string): string => `import { pipeline, task } from "downbeat/pipeline";
const call = task("call", { http: { connection: "api", method: "GET", path: ${JSON.stringify(route)} } });
export default pipeline({ name: "${name}", tasks: [call] });
`;

beforeAll(async () => {
  const answer = await api().send(
    "PUT",
    "/v1/connections/api",
    { kind: "sample", config: { host: "x" } },
    { authorization: `Bearer ${KEY}` },
  );
  expect(answer.status).toBe(201);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run deploy", () => {
  it("saves YAML and TypeScript as versions of one pipeline; the same content makes none", async () => {
    const yaml = write("same.yaml", definitionOf("same"));
    expect(await deploy([yaml])).toEqual({ code: 0, output: "same: version 1, new\n" });
    expect(await deploy([write("same.ts", builtOf("same", "/x"))])).toEqual({ code: 0, output: "same: version 1, unchanged\n" });
    expect(await deploy([write("next.ts", builtOf("same", "/y"))])).toEqual({
      code: 0,
      output: "same: version 2, new\n  changed: tasks.call.http.path\n",
    });
    expect((await api().store.definitions.find("same", 1))?.format).toBe("yaml");
  });

  it("only validates when it is asked to; takes several files and goes on after one that is refused", async () => {
    const good = write("good.yaml", definitionOf("good"));
    expect(await deploy(["--validate", good])).toEqual({ code: 0, output: "good: valid, 1 task\n" });
    expect(await api().store.definitions.find("good")).toBeUndefined();
    const bad = write("bad.yaml", definitionOf("bad", "    retries: 3\n"));
    const both = await deploy([bad, good]);
    expect(both.code).toBe(1);
    expect(both.output).toContain(`${bad}:6:5 UNKNOWN_KEY tasks[0]`);
    expect(both.output).toContain("good: version 1, new");
  });

  it("prints what was taken and may turn out to be wrong", async () => {
    const early = write("early.yaml", definitionOf("early", "  - id: later\n    pipeline: { name: nobody }\n"));
    const warning = `warning: ${early}:7:17 UNKNOWN_PIPELINE tasks[1].pipeline.name: there is no pipeline "nobody" yet`;
    for (const args of [["--validate", early], [early]]) {
      const { code, output } = await deploy(args);
      expect([code, output]).toEqual([0, expect.stringContaining(warning)]);
    }
  });

  it("names every fault with its place: of the schema, of meaning, of a module", async () => {
    const unknown = write("unknown.yaml", definitionOf("unknown", "  - id: other\n    http: { connection: nobody }\n  - id: third\n"));
    const { code, output } = await deploy([unknown]);
    expect(code).toBe(1);
    expect(output).toContain(`${unknown}:7:13 UNKNOWN_CONNECTION tasks[1].http.connection`);
    expect(output).toContain(`${unknown}:8:5 NO_OPERATOR tasks[2]`);
    const built = write("built.ts", builtOf("built", "/x").replace('"api"', '"nobody"'));
    expect(await deploy([built])).toMatchObject({
      code: 1,
      output: expect.stringContaining(`${built} UNKNOWN_CONNECTION tasks[0].http.connection`) as unknown,
    });
    const cases: readonly (readonly [string, string])[] = [
      ["const broken = ;", "the module cannot be loaded"],
      ["throw new Error('no such day');", "no such day"],
      ["export const pipeline = {};", "no default export"],
      ["export default 12n;", "is no JSON"],
      ["export default () => 1;", "DEFINITION_"],
    ];
    for (const [index, [text, expected]] of cases.entries()) {
      const found = await deploy([write(`module-${index}.ts`, text)]);
      expect(found, text).toMatchObject({ code: 1, output: expect.stringContaining(expected) as unknown });
    }
  });

  it("tells by another exit code that it could not ask", async () => {
    const good = write("asked.yaml", definitionOf("asked"));
    const { code, output } = await deploy(["--api", "http://127.0.0.1:1", good]);
    expect([code, output]).toEqual([
      2,
      expect.stringMatching(/^HTTP_UNAVAILABLE: .*asked\.yaml could not be sent to http:\/\/127\.0\.0\.1:1/),
    ]);
    expect(await deploy([good], { DOWNBEAT_API_KEY: "another-key-that-is-long" })).toMatchObject({
      code: 2,
      output: expect.stringContaining("UNAUTHENTICATED") as unknown,
    });
    expect(await deploy([path.join(folder, "absent.yaml")])).toMatchObject({
      code: 2,
      output: expect.stringMatching(/^NOT_FOUND: .*absent\.yaml/) as unknown,
    });
    expect(await deploy([])).toMatchObject({ code: 2, output: expect.stringContaining("no FILE was given") as unknown });
    expect(await deploy(["--dry", good])).toMatchObject({ code: 2, output: expect.stringContaining("Unknown option '--dry'") as unknown });
  });
});
