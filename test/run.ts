// `npm test`: static checks, then every vitest project; the last line counts what passed and failed.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numFailedTestSuites: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const bin = (name: string): string => path.resolve("node_modules/.bin", name);
const run = (command: string, args: readonly string[]): number => spawnSync(bin(command), args, { stdio: "inherit" }).status ?? 1;

/** How native code (Node, Rust, C++) begins to say why it aborts. */
const CRASH = /FATAL ERROR|panicked at|terminate called|assertion .*failed|check failed/i;
const CRASH_LINES = 40;

/** `crash`: what a process that aborted said of it, which stands far above the end of a long log. */
const runTests = async (args: readonly string[]): Promise<{ readonly status: number; readonly crash: readonly string[] }> => {
  const tests = spawn(bin("vitest"), args, { stdio: ["inherit", "inherit", "pipe"] });
  const crash: string[] = [];
  tests.stderr.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  createInterface({ input: tests.stderr }).on("line", (line) => {
    if (crash.length < CRASH_LINES && (crash.length > 0 || CRASH.test(line))) crash.push(line);
  });
  const [code] = (await once(tests, "close")) as [number | null];
  return { status: code ?? 1, crash };
};

let passed = 0;
let failed = 0;
const checks: readonly (readonly [string, string, readonly string[]])[] = [
  ["types", "tsc", ["--noEmit"]],
  ["lint", "oxlint", ["--type-aware", "--deny-warnings"]],
  ["format", "biome", ["format", "."]],
  ["unused code", "knip", []],
];
for (const [title, command, args] of checks) {
  console.log(`— ${title}`);
  if (run(command, args) === 0) passed += 1;
  else failed += 1;
}

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-test-"));
const report = path.join(folder, "report.json");
console.log("— tests");
const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)];
const { status, crash } = await runTests(args);
try {
  const result = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
  // A file that could not even be loaded, or a service that could not be had, has no failed test of its own.
  const brokenFiles = result.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  passed += result.numPassedTests;
  failed += result.numFailedTests + brokenFiles;
  const skipped = result.numPendingTests + result.numTodoTests;
  if (skipped > 0) console.log(`${skipped} skipped; each prints its reason above`);
} catch {
  console.error("vitest left no report: it ended before its tests, see above");
  failed += 1;
}
if (status !== 0 && failed === 0) failed += 1;
if (status !== 0 && crash.length > 0) console.error(`a process ended with:\n${crash.join("\n")}`);
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
