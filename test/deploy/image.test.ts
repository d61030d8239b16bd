// The image as the Dockerfile would fill it: its processes start from the copied folders and production dependencies alone.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = path.resolve(import.meta.dirname, "../..");
const image = mkdtempSync(path.join(tmpdir(), "downbeat-image-"));
afterAll(() => rmSync(image, { recursive: true, force: true }));

const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

const copied = [...readFileSync(path.join(root, "deploy/Dockerfile"), "utf8").matchAll(/^COPY (?!--from)(\S+) \.\/(\S*)$/gm)].map(
  (match) => match[1] ?? "",
);
for (const entry of copied) cpSync(path.join(root, entry), path.join(image, entry), { recursive: true });
for (const name of Object.keys(manifest.dependencies)) {
  const link = path.join(image, "node_modules", name);
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(path.join(root, "node_modules", name), link);
}

const run = (args: readonly string[]): { readonly status: number | null; readonly output: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args], { cwd: image, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  return { status, output: `${stdout}${stderr}` };
};

describe("the image", () => {
  it.each(["bin/api.ts", "bin/worker.ts", "bin/migrate.ts"])("%s starts", { timeout: 60_000 }, (script) => {
    const { status, output } = run([script, "--help"]);
    expect(output).toContain("DATABASE_URL");
    expect(status).toBe(0);
  });

  it("copies", { timeout: 60_000 }, () => {
    writeFileSync(path.join(image, "items.csv"), "id\n1\n");
    const { status, output } = run(["bin/downbeat.js", "copy", "items.csv", "items.duckdb"]);
    expect(output).toMatch(/items +copied +1 /);
    expect(status).toBe(0);
  });

  it("bundles its workflows", { timeout: 60_000 }, () => {
    const { status, output } = run(["bin/bundle-workflows.ts"]);
    expect(status, output.slice(0, 2_000)).toBe(0);
    expect(output.length).toBeGreaterThan(100_000);
  });

  it("has every package that is imported late, such as drivers", () => {
    const files = ["core", "workflows", "activities", "connectors", "store", "api", "bin"].flatMap((folder) =>
      readdirSync(path.join(image, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => path.join(image, folder, name)),
    );
    const late = files.flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/import\(\s*"((?:@[\w-]+\/)?[\w-]+)/g)].map((match) => match[1] ?? ""),
    );
    expect(late).toContain("pg");
    expect(late.filter((name) => name !== "node" && !(name in manifest.dependencies))).toEqual([]);
  });

  it("gives Temporal the settings that npm start gives its own", () => {
    const file = parse(readFileSync(path.join(root, "deploy/temporal-dynamic-config.yaml"), "utf8")) as Readonly<
      Record<string, readonly { readonly value: unknown }[]>
    >;
    const ours = [...readFileSync(path.join(root, "bin/services/temporal.ts"), "utf8").matchAll(/^ {2}["']([a-zA-Z.]+)="?(\w+)"?["'],$/gm)];
    expect(Object.fromEntries(Object.entries(file).map(([key, entries]) => [key, String(entries[0]?.value)]))).toEqual(
      Object.fromEntries(ours.map((match) => [match[1] ?? "", match[2]])),
    );
  });
});
