// The environment is read once: defaults, every fault at once, nothing secret in a message.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { helpText, parseConfig, requireServers, VARIABLES } from "../../bin/config.ts";
import { DownbeatError } from "../../core/errors.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HEX_KEY = "0123456789abcdef".repeat(4);
const LONG_KEY = "a-key-that-is-long-enough";

const fileWith = (name: string, content: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
};

const faultOf = (env: Readonly<Record<string, string>>): string => {
  try {
    parseConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(DownbeatError);
    expect((error as DownbeatError).code).toBe("CONFIG_INVALID");
    return (error as DownbeatError).message;
  }
  throw new Error(`accepted: ${JSON.stringify(env)}`);
};

describe("configuration", () => {
  it("an empty environment gives the defaults, on loopback and without a key", () => {
    const config = parseConfig({});
    expect(config).toMatchObject({
      databaseUrl: undefined,
      dataDir: path.resolve(".downbeat"),
      host: "127.0.0.1",
      port: 8080,
      apiKey: undefined,
      secretKey: undefined,
      temporal: { address: undefined, namespace: "default", tls: false },
      userConfigFile: { path: "downbeat.config.ts", isDefault: true },
      logLevel: "info",
      workerHost: "127.0.0.1",
      workerPort: 0,
      queues: ["downbeat"],
      maxActivities: 100,
      commands: [],
      commandShell: false,
      failpoints: undefined,
      shutdownGraceMs: 10_000,
      keepEventsMs: 2_592_000_000,
    });
  });

  it("an empty variable counts as one that is not set", () => {
    expect(parseConfig({ DOWNBEAT_PORT: "", DOWNBEAT_API_KEY: " ", DOWNBEAT_CONFIG: "", TEMPORAL_ADDRESS: "" })).toEqual(parseConfig({}));
  });

  it("reads what is set", () => {
    const config = parseConfig({
      DATABASE_URL: "postgresql://u:p@db:5432/d",
      DOWNBEAT_HOST: "0.0.0.0",
      DOWNBEAT_API_KEY: LONG_KEY,
      DOWNBEAT_PORT: "9000",
      DOWNBEAT_SECRET_KEY: HEX_KEY,
      TEMPORAL_ADDRESS: "temporal.example:7233",
      TEMPORAL_TLS: "1",
      DOWNBEAT_CONFIG: "mine.ts",
      DOWNBEAT_SHUTDOWN_GRACE: "2m",
      DOWNBEAT_KEEP_EVENTS: "7d",
      DOWNBEAT_COMMANDS: " python3, dbt ,,/opt/etl/* ",
      DOWNBEAT_COMMAND_SHELL: "true",
      DOWNBEAT_QUEUES: "downbeat, gpu,gpu",
      DOWNBEAT_BUILD_ID: "2026-11-23.4f1c",
      DOWNBEAT_FAILPOINTS: "before-commit:2,after-commit:1",
    });
    expect(config).toMatchObject({
      host: "0.0.0.0",
      port: 9000,
      buildId: "2026-11-23.4f1c",
      apiKey: LONG_KEY,
      secretKey: HEX_KEY,
      temporal: { address: "temporal.example:7233", tls: true },
      userConfigFile: { path: "mine.ts", isDefault: false },
      shutdownGraceMs: 120_000,
      keepEventsMs: 604_800_000,
      commands: ["python3", "dbt", "/opt/etl/*"],
      commandShell: true,
      queues: ["downbeat", "gpu"],
      failpoints: "before-commit:2,after-commit:1",
    });
  });

  it("takes secrets out of files, without their last line break", () => {
    const env = { DOWNBEAT_API_KEY_FILE: fileWith("api", `${LONG_KEY}\n`), DOWNBEAT_SECRET_KEY_FILE: fileWith("secret", `${HEX_KEY}\n`) };
    expect(parseConfig(env)).toMatchObject({ apiKey: LONG_KEY, secretKey: HEX_KEY });
  });

  it("names every fault at once", () => {
    const message = faultOf({
      DATABASE_URL: "mysql://db",
      DOWNBEAT_PORT: "80x",
      TEMPORAL_TLS: "yes",
      DOWNBEAT_LOG_LEVEL: "loud",
      DOWNBEAT_SHUTDOWN_GRACE: "soon",
      DOWNBEAT_MAX_ACTIVITIES: "0",
      DOWNBEAT_SECRET_KEY: "short",
      TEMPORAL_TLS_CERT: "cert.pem",
      OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318",
      DOWNBEAT_FAILPOINTS: "before-commit",
      TEMPORAL_ADDRESS: "localhost",
      DOWNBEAT_COMMANDS: "dbt,bin/etl",
      DOWNBEAT_BUILD_ID: "unversioned",
      DOWNBEAT_QUEUES: " , ",
    });
    expect(message).toContain("14 faults");
    expect(message).toContain('DOWNBEAT_BUILD_ID is "unversioned"');
    expect(message).toContain('DOWNBEAT_COMMANDS has "bin/etl"');
    expect(message).toContain('DOWNBEAT_PORT is "80x"; it takes a whole number from 0 to 65535');
    for (const name of [
      "DATABASE_URL",
      "TEMPORAL_TLS ",
      "DOWNBEAT_LOG_LEVEL",
      "DOWNBEAT_SHUTDOWN_GRACE",
      "DOWNBEAT_MAX_ACTIVITIES",
      "DOWNBEAT_SECRET_KEY",
      "TEMPORAL_TLS_KEY",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "DOWNBEAT_FAILPOINTS",
      "TEMPORAL_ADDRESS",
    ])
      expect(message).toContain(name);
  });

  it.each(["0.0.0.0", "::", "192.168.1.4", "example.org", "127.example.org"])("does not listen on %s without an API key", (host) => {
    expect(faultOf({ DOWNBEAT_HOST: host })).toContain("DOWNBEAT_API_KEY");
    expect(faultOf({ DOWNBEAT_WORKER_HOST: host })).toContain("DOWNBEAT_API_KEY");
    expect(parseConfig({ DOWNBEAT_HOST: host, DOWNBEAT_API_KEY: LONG_KEY }).host).toBe(host);
  });

  it.each(["127.0.0.1", "127.0.1.1", "::1", "localhost"])("listens on %s without one", (host) => {
    expect(parseConfig({ DOWNBEAT_HOST: host }).host).toBe(host);
  });

  it("refuses a key that is short, given twice, missing as a file or empty", () => {
    expect(faultOf({ DOWNBEAT_API_KEY: "guess" })).toContain("at least 16 characters");
    const file = fileWith("twice", LONG_KEY);
    expect(faultOf({ DOWNBEAT_API_KEY: LONG_KEY, DOWNBEAT_API_KEY_FILE: file })).toContain("both set");
    expect(faultOf({ TEMPORAL_API_KEY_FILE: path.join(folder, "absent") })).toContain("ENOENT");
    expect(faultOf({ TEMPORAL_API_KEY_FILE: fileWith("empty", "\n") })).toContain("is empty");
  });

  it("says no secret in a message", () => {
    const env = { DATABASE_URL: "mysql://u:hunter2secret@db", DOWNBEAT_SECRET_KEY: "hunter3secret", DOWNBEAT_API_KEY: "hunter4" };
    expect(faultOf(env)).not.toMatch(/hunter/);
  });

  it("processes of their own need a PostgreSQL store", () => {
    expect(() => requireServers(parseConfig({}))).toThrow(/DATABASE_URL is not set.*npm start/);
    expect(requireServers(parseConfig({ DATABASE_URL: "postgres://db/d" }))).toBe("postgres://db/d");
  });

  it("help shows every variable", () => {
    const text = helpText("usage");
    expect(VARIABLES.filter(({ name }) => !text.includes(`  ${name} `))).toEqual([]);
  });
});
