// `npm test`: static checks, then every vitest project; the last line counts what passed and failed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

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
const status = run("vitest", ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)]);
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
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
