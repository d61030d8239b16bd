// The demo, small: MySQL, Kafka and S3 to DuckDB and PostgreSQL over plain HTTP, twice, every total equal to its source.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";

it("npm run demo ends with every total equal to its source", { timeout: 600_000 }, () => {
  const script = path.resolve(import.meta.dirname, "../../bin/demo/demo.ts");
  const demo = spawnSync(process.execPath, [script, "--orders", "20000", "--clicks", "4000"], { encoding: "utf8", timeout: 580_000 });
  expect(demo.status, `${demo.stdout}\n${demo.stderr}`).toBe(0);
  expect(demo.stdout).toContain("Every total equals its source.");
  expect(demo.stdout).not.toContain("WRONG");
});
