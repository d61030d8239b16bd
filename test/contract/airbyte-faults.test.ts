// Airbyte sources that say and do what real ones do not on demand.

import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { airbyte } from "../../connectors/airbyte/spec.ts";
import type { Act } from "../fixtures/fake-tap.ts";
import { FAKE_TAP, rowsIn, useTaps } from "./tap-kit.ts";

const SCHEMA = { type: "object", properties: { id: { type: "integer" }, at: { type: ["null", "string"], format: "date-time" } } };
const CATALOG = {
  type: "CATALOG",
  catalog: {
    streams: [
      {
        name: "orders",
        namespace: "shop",
        json_schema: SCHEMA,
        supported_sync_modes: ["full_refresh", "incremental"],
        source_defined_primary_key: [["id"]],
      },
      { name: "events", json_schema: SCHEMA, supported_sync_modes: ["full_refresh", "incremental"], source_defined_cursor: true },
      { name: "nested", json_schema: SCHEMA, supported_sync_modes: ["full_refresh"], source_defined_primary_key: [["a", "b"]] },
    ],
  },
};
const record = (id: number, namespace: string | undefined = "shop", stream = "orders") => ({
  type: "RECORD",
  record: { stream, namespace, data: { id, at: "2026-01-01T00:00:00+01:00" }, emitted_at: 1 },
});
const streamState = (name: string, value: unknown) => ({
  type: "STATE",
  state: {
    type: "STREAM",
    stream: { stream_descriptor: { name, namespace: "shop" }, stream_state: value },
    sourceStats: { recordCount: 1 },
  },
});
const traced = (failure_type: string | undefined, message: string, internal_message?: string) => ({
  type: "TRACE",
  trace: { type: "ERROR", emitted_at: 1, error: { message, internal_message, failure_type, stack_trace: "…" } },
});

const taps = useTaps("airbyte", airbyte);
const { read, said, starts } = taps;
const open = (act: Act, more: Record<string, unknown> = {}, changed = {}) =>
  taps.open({ discover: { say: [CATALOG] }, read: act }, { more, changed });
const incremental = { cursor: "id" };
const stateOf = (position: unknown): unknown => JSON.parse((position as { state: string }).state);

describe("an Airbyte source", () => {
  it("tells its streams by namespace and name", async () => {
    const streams = await (await open({})).source?.discover();
    expect(streams?.map(({ name, key }) => [name, key])).toEqual([
      ["shop.orders", ["id"]],
      ["events", undefined],
      ["nested", undefined],
    ]);
  });

  it("is read in full, or on from its last states of each stream", async () => {
    const say = [
      record(1),
      streamState("orders", { id: 1 }),
      record(9, "other"),
      record(9, undefined, "events"),
      record(2),
      streamState("orders", { id: 2 }),
    ];
    const full = await read(await open({ say }));
    expect(rowsIn(full)).toEqual([
      { id: 1, at: "2025-12-31T23:00:00Z" },
      { id: 2, at: "2025-12-31T23:00:00Z" },
    ]);
    expect(full.at(-1)?.position).toBeNull();
    expect(starts().at(-1)).toMatchObject({ catalog: { streams: [{ sync_mode: "full_refresh", stream: { name: "orders" } }] } });
    const [kept] = await read(await open({ say }), { ...incremental, stream: "shop.orders" });
    const state = [{ type: "STREAM", stream: { stream_descriptor: { name: "orders", namespace: "shop" }, stream_state: { id: 2 } } }];
    expect(stateOf(kept?.position)).toEqual(state);
    const further = await read(await open({ say: [streamState("others", { a: 1 })] }), {
      ...incremental,
      position: kept?.position ?? null,
    });
    expect(starts().at(-1)).toMatchObject({ state, catalog: { streams: [{ sync_mode: "incremental", cursor_field: ["id"] }] } });
    expect(stateOf(further.at(-1)?.position)).toMatchObject([state[0], { stream: { stream_descriptor: { name: "others" } } }]);
  });

  it.each([
    [
      "GLOBAL",
      { type: "GLOBAL", global: { shared_state: { lsn: 5 }, stream_states: [] } },
      [{ type: "GLOBAL", global: { shared_state: { lsn: 5 }, stream_states: [] } }],
    ],
    ["LEGACY", { type: "LEGACY", data: { orders: { id: 1 } } }, { orders: { id: 1 } }],
    ["no", { data: { orders: { id: 1 } } }, { orders: { id: 1 } }],
  ])("keeps states of %s kind as it is given them again", async (_, state, kept) => {
    const batches = await read(await open({ say: [record(1), { type: "STATE", state }] }), incremental);
    expect(stateOf(batches.at(-1)?.position)).toEqual(kept);
    await read(await open({}), { ...incremental, position: batches.at(-1)?.position ?? null });
    expect(starts().at(-1)?.state).toEqual(kept);
  });

  it("logs what it is told at its level, and passes over what it does not know", async () => {
    const log = (level: string, message: string) => ({ type: "LOG", log: { level, message } });
    await read(
      await open({
        say: [
          log("INFO", "i"),
          log("ERROR", "e"),
          log("DEBUG", "d"),
          "plain text",
          { type: "CONTROL" },
          { type: "CONTROL" },
          { type: "NEW" },
          { type: "TRACE", trace: { type: "ESTIMATE" } },
        ],
      }),
    );
    expect(said.map(({ level, line }) => `${level} ${line}`)).toEqual([
      "info i",
      "warn e",
      "debug d",
      "info plain text",
      "warn the source has changed its configuration (CONTROL); what it changed is not kept",
      "info messages of the type NEW are passed over",
    ]);
  });

  it.each([
    ["config_error", "CONNECTION_INVALID", false],
    ["transient_error", "SOURCE_UNAVAILABLE", true],
    ["system_error", "COMMAND_FAILED", true],
    [undefined, "COMMAND_FAILED", true],
  ])("that explains a %s fails with %s, in its own words", async (type, code, retry) => {
    const tap = await open(
      { say: [record(1), traced(type, "Bad key hush-hush", "401"), traced("system_error", "and so on")], exit: 1 },
      { secrets: { key: "hush-hush" } },
    );
    await expect(read(tap)).rejects.toMatchObject({ code, rule: { retry }, message: "the source says: Bad key ***: 401" });
  });

  it("that explains an error has failed, whatever its exit code; one that does not is shown by its log", async () => {
    await expect(read(await open({ say: [traced("transient_error", "away")] }))).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    const silent = await open({ say: [{ type: "LOG", log: { level: "FATAL", message: "out of luck" } }], exit: 3 });
    await expect(read(silent)).rejects.toMatchObject({
      code: "COMMAND_FAILED",
      details: { exitCode: 3 },
      message: expect.stringContaining("out of luck") as unknown,
    });
  });

  it("is checked by its own check", async () => {
    const status = (value: object) => ({ say: [{ type: "CONNECTION_STATUS", connectionStatus: value }] });
    await (await taps.open({ check: status({ status: "SUCCEEDED" }) })).check();
    const failed = await taps.open({ check: { ...status({ status: "FAILED", message: "no such host" }), exit: 1 } });
    await expect(failed.check()).rejects.toMatchObject({
      code: "CONNECTION_INVALID",
      message: expect.stringContaining("no such host") as unknown,
    });
    const invalid = await taps.open({ check: { say: [traced("config_error", "count is missing")], exit: 1 } });
    await expect(invalid.check()).rejects.toMatchObject({
      code: "CONNECTION_INVALID",
      message: expect.stringContaining("count is missing") as unknown,
    });
    await expect((await taps.open({ check: { say: ["hello"] } })).check()).rejects.toMatchObject({ code: "SOURCE_DATA_INVALID" });
  });

  it("refuses cursors that it does not have", async () => {
    const tap = await open({});
    const refused = expect.objectContaining({ code: "CURSOR_INVALID" }) as Error;
    await expect(read(tap, { stream: "nested", cursor: "id" })).rejects.toEqual(refused);
    await expect(read(tap, { stream: "events", cursor: "id" })).rejects.toEqual(refused);
    await expect(read(tap, { stream: "orders", options: { incremental: true } })).rejects.toEqual(refused);
    await expect(read(tap, { stream: "orders", cursor: "updated" })).rejects.toEqual(refused);
    await expect(read(tap, { stream: "absent" })).rejects.toMatchObject({ code: "SOURCE_STREAM_NOT_FOUND" });
    expect(rowsIn(await read(tap, { stream: "events", options: { incremental: true } }))).toEqual([]);
  });

  it("is a command or an image", () => {
    for (const wrong of [{}, { command: ["a"], image: "b" }]) expect(airbyte.config.safeParse(wrong).success).toBe(false);
    expect(airbyte.config.safeParse({ image: "-v/:/host" }).success).toBe(false);
  });
});

// No container engine is at hand in every place where these tests run: a stand-in shows what docker is asked for, and runs the source as docker would.
describe("an Airbyte source as an image", () => {
  const bin = path.join(taps.folder, "bin");
  const asked = path.join(taps.folder, "docker.jsonl");
  const docker = `#!${process.execPath}
const { appendFileSync, statSync } = require("node:fs");
const { spawnSync } = require("node:child_process");
const args = process.argv.slice(2);
const volume = args[args.indexOf("--volume") + 1] ?? "";
const [host, inside] = volume.split(":");
appendFileSync(${JSON.stringify(asked)}, JSON.stringify({ args, mode: args[0] === "run" ? statSync(host).mode & 0o777 : 0 }) + "\\n");
if (args[0] === "run") {
  const source = args.slice(args.indexOf("airbyte/source-fake:1") + 1).map((arg) => arg.replace(inside + "/", host + "/"));
  process.exitCode = spawnSync(${JSON.stringify(FAKE_TAP[0])}, [${JSON.stringify(FAKE_TAP[1])}, ...source], { stdio: "inherit" }).status ?? 1;
}
`;
  const openImage = (act: Act, changed = {}) => {
    mkdirSync(bin, { recursive: true });
    writeFileSync(path.join(bin, "docker"), docker);
    chmodSync(path.join(bin, "docker"), 0o755);
    writeFileSync(asked, "");
    const programs = { allowed: [], images: ["airbyte/source-*"], environment: { PATH: `${bin}:/usr/bin:/bin` }, folder: taps.folder };
    const more = { command: undefined, image: "airbyte/source-fake:1", environment: { HTTPS_PROXY: "p" } };
    return open(act, more, { programs, ...changed });
  };
  const calls = (): readonly { args: readonly string[]; mode: number }[] =>
    readFileSync(asked, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { args: string[]; mode: number });

  it("runs with its files in a volume that it can read and others cannot", async () => {
    expect(rowsIn(await read(await openImage({ say: [record(1)] })))).toHaveLength(1);
    const last = calls().at(-1);
    const name = last?.args[last.args.indexOf("--name") + 1];
    const volume = last?.args[last.args.indexOf("--volume") + 1] ?? "";
    expect(last?.args).toEqual([
      "run",
      "--rm",
      "--interactive",
      "--init",
      "--name",
      name,
      "--volume",
      volume,
      "--env",
      "HTTPS_PROXY",
      "airbyte/source-fake:1",
      "read",
      "--config",
      "/downbeat/config.json",
      "--catalog",
      "/downbeat/catalog.json",
    ]);
    expect(volume).toMatch(/\/tap-\w+\/files:\/downbeat$/);
    expect(last?.mode).toBe(0o755);
    expect(statSync(taps.folder).mode & 0o077).toBe(0);
  });

  it("is removed by name when it is stopped half-way", async () => {
    const stop = new AbortController();
    const source = await openImage({ say: Array.from({ length: 20_000 }, (_, id) => record(id + 1)), hang: true }, { signal: stop.signal });
    await expect(async () => {
      for await (const _ of source.source?.read(taps.request()) ?? []) stop.abort(new Error("enough"));
    }).rejects.toThrow("enough");
    const run = calls().findLast(({ args }) => args.includes("read"));
    expect(calls().at(-1)?.args).toEqual(["rm", "--force", run?.args[run.args.indexOf("--name") + 1]]);
  });

  it("is one that the worker allows", async () => {
    const source = await openImage({}, { programs: { allowed: ["docker"], images: ["other/*"], environment: {}, folder: "/" } });
    await expect(source.check()).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringMatching(/DOWNBEAT_IMAGES allows only other/) as unknown,
    });
  });
});
