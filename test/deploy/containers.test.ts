// The container files name only what exists: scripts, folders, variables. No engine is needed to see that.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { VARIABLES } from "../../bin/config.ts";

const root = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly ports?: readonly string[];
}

const compose = parse(read("deploy/compose.yaml"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

describe("deploy/compose.yaml", () => {
  const services = Object.entries(compose.services);

  it("starts Temporal with its UI, PostgreSQL, API and worker apart, and the demo's systems", () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(["postgres", "temporal", "temporal-ui", "migrate", "api", "worker", "mysql", "kafka", "s3"]),
    );
  });

  it("runs scripts that exist, with variables that the configuration knows", () => {
    const known = new Set<string>(VARIABLES.map(({ name }) => name));
    for (const [name, { command = [], environment = {} }] of services) {
      const script = command.find((part) => part.endsWith(".ts"));
      if (script === undefined) continue;
      expect(existsSync(path.join(root, script)), `${name} runs ${script}`).toBe(true);
      expect(Object.keys(environment).filter((variable) => !known.has(variable))).toEqual([]);
    }
  });

  it("depends on services, mounts volumes and files that exist", () => {
    for (const [, { depends_on: needs = {}, volumes = [] }] of services) {
      for (const need of Object.keys(needs)) expect(compose.services).toHaveProperty([need]);
      for (const volume of volumes) {
        const [source = ""] = volume.split(":");
        if (source.startsWith("./")) expect(existsSync(path.join(root, "deploy", source)), source).toBe(true);
        else expect(compose.volumes).toHaveProperty([source]);
      }
    }
  });

  it("publishes ports on loopback alone, and the API beyond it inside the network only with a key", () => {
    for (const [, { ports = [] }] of services) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(compose.services["api"]?.environment).toMatchObject({
      DOWNBEAT_HOST: "0.0.0.0",
      DOWNBEAT_API_KEY: expect.stringContaining(":?") as unknown,
    });
  });
});

describe("deploy/Dockerfile", () => {
  const lines = read("deploy/Dockerfile").split("\n");

  it("copies folders and files that exist, and every folder that the processes import", () => {
    const copied = lines
      .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(copied.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(["core", "workflows", "activities", "connectors", "store", "api", "bin"]));
  });

  it("does not run as root", () => {
    expect(lines).toContain("USER downbeat");
  });
});
