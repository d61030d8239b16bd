// Opening connections by name: what is missing, unknown or unfit, and roles that a connector does not have.

import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createConnectionOpener, roleOf, type StoredConnection } from "../../activities/connections.ts";
import type { Connector, ConnectorSpec } from "../../connectors/connector.ts";
import { secret } from "../../connectors/lib/config.ts";
import { DownbeatError } from "../../core/errors.ts";
import { testContext, testFolder } from "../contract/kit.ts";

const folder = testFolder("connections");
const opened: unknown[] = [];

const crm: ConnectorSpec = {
  kind: "crm",
  title: "CRM",
  description: "A source alone",
  roles: ["source"],
  config: z.strictObject({ host: z.string(), token: secret() }),
  capabilities: {},
  open: (config) => {
    opened.push(config);
    if ((config as { host: string }).host === "away") return Promise.reject(new DownbeatError("SOURCE_UNAVAILABLE", "away"));
    const source: Connector["source"] = { discover: () => Promise.resolve([]), async *read() {} };
    return Promise.resolve({ check: () => Promise.resolve(), source, [Symbol.asyncDispose]: () => Promise.resolve() });
  },
};

const STORED: readonly StoredConnection[] = [
  { name: "good", kind: "crm", config: { host: "here", token: { env: "TOKEN" } } },
  { name: "away", kind: "crm", config: { host: "away", token: "t" } },
  { name: "faulty", kind: "crm", config: { hots: "here", token: { env: "TOKEN" } } },
  { name: "foreign", kind: "unheard-of", config: {} },
  { name: "unresolved", kind: "crm", config: { host: "here", token: { env: "NOBODY" } } },
];

const open = createConnectionOpener({
  findConnection: (name) => Promise.resolve(STORED.find((stored) => stored.name === name)),
  findSpec: (kind) => (kind === crm.kind ? crm : undefined),
  resolveSecret: ({ env }) =>
    env === "TOKEN" ? Promise.resolve("hush") : Promise.reject(new DownbeatError("SECRET_UNRESOLVED", `${String(env)} is not set`)),
  tempRoot: folder,
  baseDir: folder,
});

const context = testContext(folder);

describe("a connection", () => {
  it("is opened with its secrets in place, and leaves no folder behind", async () => {
    {
      await using connection = await open("good", context);
      expect(opened.at(-1)).toEqual({ host: "here", token: "hush" });
      expect(readdirSync(folder)).toHaveLength(1);
      expect(roleOf(connection, "source")).toBe(connection.connector.source);
    }
    await expect(open("away", context)).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ["nowhere", "CONNECTION_NOT_FOUND", "PUT /v1/connections/nowhere"],
    ["foreign", "CONNECTOR_UNKNOWN", "downbeat.config.ts"],
    ["faulty", "CONNECTION_INVALID", "hots"],
    ["unresolved", "SECRET_UNRESOLVED", "NOBODY"],
  ])("%s: %s says what to do", async (name, code, words) => {
    const refused = await open(name, context).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code });
    expect((refused as Error).message).toContain(words);
    expect((refused as Error).message).not.toContain("hush");
  });

  it("is not used for what its connector cannot do", async () => {
    await using connection = await open("good", context);
    expect(() => roleOf(connection, "sql")).toThrow(
      expect.objectContaining({ code: "ROLE_UNSUPPORTED", message: expect.stringContaining("it can be: source") as string }),
    );
  });
});
