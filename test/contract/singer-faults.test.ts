// Singer taps that say and do what real ones do not on demand.

import { readdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { singer } from "../../connectors/singer/spec.ts";
import type { Act } from "../fixtures/fake-tap.ts";
import { rejectsIn, rowsIn, useTaps } from "./tap-kit.ts";

const SCHEMA = {
  type: "object",
  properties: { id: { type: "integer" }, text: { type: ["null", "string"] } },
};
const CATALOG = {
  streams: [
    {
      tap_stream_id: "shop-orders",
      stream: "orders",
      schema: { ...SCHEMA, properties: { ...SCHEMA.properties, shape: { type: "string" } } },
      key_properties: ["id"],
      metadata: [
        { breadcrumb: [], metadata: { "valid-replication-keys": ["id"], "table-key-properties": ["id"] } },
        { breadcrumb: ["properties", "id"], metadata: { inclusion: "automatic" } },
        { breadcrumb: ["properties", "shape"], metadata: { inclusion: "unsupported" } },
      ],
    },
    { tap_stream_id: "shop-customers", stream: "customers", schema: SCHEMA, metadata: [] },
  ],
};
const schemaMessage = { type: "SCHEMA", stream: "orders", schema: SCHEMA, key_properties: ["id"] };
const record = (id: unknown, more: object = {}) => ({ type: "RECORD", stream: "orders", record: { id, text: "t", ...more } });
const state = (value: unknown) => ({ type: "STATE", value });

const taps = useTaps("singer", singer);
const open = (act: Act, more: Record<string, unknown> = {}, config = {}, changed = {}) =>
  taps.open({ "--discover": { say: [CATALOG] }, read: act }, { more, config, changed });
const { read, said, starts } = taps;

describe("a Singer tap", () => {
  it("tells its streams with keys and columns, without what it cannot read", async () => {
    const tap = await open({});
    expect(await tap.source?.discover()).toEqual([
      {
        name: "shop-orders",
        key: ["id"],
        columns: [
          { name: "id", type: { kind: "int64" }, nullable: false },
          { name: "text", type: { kind: "string" }, nullable: true },
        ],
      },
      { name: "shop-customers", columns: expect.any(Array) as unknown },
    ]);
    await tap.check();
  });

  it("is asked for one stream in full, with nothing but its files and a small environment, of which nothing stays", async () => {
    const secrets = { "auth.token": "hush-hush", "hosts.0.key": "other-secret" };
    const tap = await open(
      { say: [schemaMessage, record(1), state({ a: 1 })], stderr: "INFO token hush-hush\n" },
      { secrets, environment: { HTTPS_PROXY: "http://proxy" } },
      { hosts: [{ name: "a" }] },
    );
    const batches = await read(tap);
    expect(rowsIn(batches)).toEqual([{ id: 1, text: "t" }]);
    // A full read begins anew: no state is kept.
    expect(batches.map(({ position }) => position)).toEqual([null]);
    const [, started] = starts();
    expect(started?.args.map((arg) => arg.replace(/.*\//, ""))).toEqual(["--config", "config.json", "--catalog", "catalog.json"]);
    expect(started?.environment).toMatchObject({ PATH: "/usr/bin:/bin", HTTPS_PROXY: "http://proxy" });
    expect(Object.keys(started?.environment ?? {}).filter((name) => !["PATH", "HTTPS_PROXY"].includes(name))).toEqual([]);
    expect(started?.config).toMatchObject({ auth: { token: "hush-hush" }, hosts: [{ name: "a", key: "other-secret" }] });
    expect(started?.catalog).toMatchObject({
      streams: [
        {
          tap_stream_id: "shop-orders",
          selected: true,
          metadata: [
            { breadcrumb: [], metadata: { selected: true, "replication-method": "FULL_TABLE" } },
            { breadcrumb: ["properties", "id"], metadata: { inclusion: "automatic", selected: true } },
            { breadcrumb: ["properties", "text"], metadata: { selected: true } },
            { breadcrumb: ["properties", "shape"], metadata: { inclusion: "unsupported", selected: false } },
          ],
        },
        { tap_stream_id: "shop-customers", selected: false },
      ],
    });
    expect(said).toContainEqual({ level: "info", line: "INFO token ***" });
    expect(readdirSync(taps.folder)).toEqual(["seen.jsonl"]);
  });

  it("begins an incremental read with the state that was kept, digit by digit", async () => {
    const begun = '{"bookmarks":{"orders":{"lsn":9007199254740993123}}}';
    const tap = await open({ say: [schemaMessage, record(2), `{"type":"STATE","value":${begun.replace("123}", "124}")}}`, record(3)] });
    const batches = await read(tap, { cursor: "id", position: { state: begun } });
    // What comes behind the last state comes again in the next run.
    expect(batches.at(-1)?.position).toEqual({ state: begun.replace("123}", "124}") });
    expect(rowsIn(batches)).toHaveLength(2);
    expect(starts().at(-1)).toMatchObject({
      args: expect.arrayContaining(["--state"]) as unknown,
      catalog: { streams: [{ replication_method: "INCREMENTAL", replication_key: "id" }, {}] },
    });
  });

  it("keeps the state that it had when the tap gives none", async () => {
    const position = { state: '{"id":7}' };
    expect(
      (await read(await open({ say: [schemaMessage] }), { options: { incremental: true }, position })).map((batch) => batch.position),
    ).toEqual([position]);
  });

  it("ends batches at states, but not at each, and sooner only where memory asks for it", async () => {
    const often = await read(await open({ say: [schemaMessage], generate: { records: 45_000, stateEvery: 10 } }), { cursor: "id" });
    expect(often.map(({ rows, position }) => [rows, position])).toEqual([
      [10_000, { state: '{"id":10000}' }],
      [10_000, { state: '{"id":20000}' }],
      [10_000, { state: '{"id":30000}' }],
      [10_000, { state: '{"id":40000}' }],
      [5_000, { state: '{"id":45000}' }],
    ]);
    const seldom = await read(await open({ say: [schemaMessage], generate: { records: 45_000, stateEvery: 25_000 } }), { cursor: "id" });
    expect(seldom.map(({ rows, position }) => [rows, position])).toEqual([
      [20_000, null],
      [5_000, { state: '{"id":25000}' }],
      [20_000, null],
      [0, { state: '{"id":25000}' }],
    ]);
    const wide = await read(await open({ say: [schemaMessage], generate: { records: 100, stateEvery: 1_000, text: 1_000_000 } }));
    expect(Math.max(...wide.map(({ bytes }) => bytes))).toBeLessThan(20 * 1024 * 1024);
  });

  it("a large state is a position as any other", async () => {
    const value = {
      partitions: Array.from({ length: 20_000 }, (_, index) => ({ context: { id: index }, replication_key_value: "2026-01-01T00:00:00Z" })),
    };
    const [batch] = await read(await open({ say: [schemaMessage, record(1), state(value)] }), { cursor: "id" });
    const { state: text } = batch!.position as { readonly state: string };
    expect(text.length).toBeGreaterThan(1_000_000);
    await read(await open({ say: [schemaMessage] }), { cursor: "id", position: { state: text } });
    expect(starts().at(-1)?.state).toEqual(value);
  });

  it("changes columns with its schema, and brings what no schema tells", async () => {
    const wider = {
      ...schemaMessage,
      schema: { ...SCHEMA, properties: { ...SCHEMA.properties, price: { type: "number", multipleOf: 0.01 } } },
    };
    const batches = await read(
      await open({
        say: [schemaMessage, record(1), schemaMessage, record(2, { extra: [1] }), wider, record(3, { price: 1.25, extra: null })],
      }),
    );
    expect(batches.map(({ schema }) => schema.columns.map(({ name, type }) => `${name} ${type.kind}`))).toEqual([
      ["id int64", "text string", "extra json"],
      ["id int64", "text string", "price decimal", "extra json"],
    ]);
    expect(rowsIn(batches)).toEqual([
      { id: 1, text: "t", extra: null },
      { id: 2, text: "t", extra: [1] },
      { id: 3, text: "t", price: expect.stringMatching(/^1\.25$/) as unknown, extra: null },
    ]);
  });

  it("gives columns the types that the task names", async () => {
    const batches = await read(await open({ say: [schemaMessage, record("12.50")] }), { options: { columns: { id: "decimal(6,2)" } } });
    expect(rowsIn(batches)).toEqual([{ id: "12.50", text: "t" }]);
  });

  it("makes rejects of records that do not fit, with where and why, and none is lost in garbage", async () => {
    const tap = await open(
      {
        say: [
          "Starting up with hush-hush …",
          schemaMessage,
          record("abc"),
          '{"type": "RECORD", "stream": "orders", "record": {"id": NaN}}',
          record(null),
          { type: "RECORD", stream: "orders", record: [1] },
          '{"type": "RECO',
          '{"type": "STATE", "value": {',
          { type: "NEW_KIND" },
          { type: "NEW_KIND" },
          { type: "ACTIVATE_VERSION", stream: "orders", version: 1 },
          { type: "RECORD", stream: "shop-orders", record: { id: 5 } },
          { type: "RECORD", stream: "public-orders", record: { id: 6 } },
          { type: "RECORD", stream: "customers", record: { id: 99 } },
        ],
      },
      { secrets: { token: "hush-hush" } },
    );
    const batches = await read(tap);
    expect(rejectsIn(batches)).toMatchObject([
      { where: "record 2 of orders", reason: expect.stringContaining("JSON") as unknown },
      { where: "record 4 of orders", reason: "is not a JSON object", raw: "[1]" },
      { where: "record 1 of orders", code: "SOURCE_DATA_INVALID", reason: 'column "id": abc is not a int64' },
      { where: "record 3 of orders", reason: 'column "id" must not be NULL' },
    ]);
    expect(rowsIn(batches).map(({ id }) => id)).toEqual([5, 6]);
    expect(said.map(({ line }) => line)).toEqual([
      "Starting up with *** …",
      '{"type": "RECO',
      '{"type": "STATE", "value": {',
      "messages of the type NEW_KIND are passed over",
    ]);
  });

  it("refuses what it cannot do, with what to do instead", async () => {
    const tap = await open({ say: [schemaMessage] });
    await expect(read(tap, { stream: "oders" })).rejects.toMatchObject({
      code: "SOURCE_STREAM_NOT_FOUND",
      message: expect.stringContaining("shop-orders") as unknown,
    });
    await expect(read(tap, { query: "select 1" })).rejects.toMatchObject({ code: "SOURCE_OPTIONS_INVALID" });
    await expect(read(tap, { cursor: "id", lookbackMs: 1 })).rejects.toMatchObject({ code: "SOURCE_OPTIONS_INVALID" });
    await expect(read(tap, { cursor: "text" })).rejects.toMatchObject({
      code: "CURSOR_INVALID",
      message: expect.stringContaining("may be id") as unknown,
    });
    await expect(read(tap, { stream: "customers", options: { incremental: true } })).rejects.toMatchObject({ code: "CURSOR_INVALID" });
    const batch = await open({ say: [{ type: "BATCH", stream: "orders" }] });
    await expect(read(batch)).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("batch_config") as unknown,
    });
  });

  it("may only run what the worker allows", async () => {
    const nothing = await open({}, {}, {}, { programs: { allowed: [], images: [], environment: {}, folder: "/" } });
    await expect(nothing.check()).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("DOWNBEAT_COMMANDS") as unknown,
    });
    const unheard = await open(
      {},
      { command: ["tap-unheard-of"] },
      {},
      { programs: { allowed: ["tap-*"], images: [], environment: { PATH: "/usr/bin" }, folder: "/" } },
    );
    await expect(unheard.check()).rejects.toMatchObject({ code: "COMMAND_REFUSED", message: expect.stringContaining("PATH") as unknown });
    expect(() => singer.config.parse({ command: ["tap"], environment: { LD_PRELOAD: "x.so" } })).toThrow(/decides which program/);
    await expect(open({}, { secrets: "no JSON" }).then((tap) => tap.check())).rejects.toMatchObject({ code: "CONNECTION_INVALID" });
  });

  it("that answers no catalog says so", async () => {
    const tap = await taps.open({ "--discover": { say: ["usage: tap"] } });
    await expect(tap.check()).rejects.toMatchObject({
      code: "SOURCE_DATA_INVALID",
      message: expect.stringContaining("usage: tap") as unknown,
    });
  });
});

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("a Singer tap that ends badly", () => {
  it("fails with its last words, without its secrets, after what it has brought", async () => {
    const tap = await open(
      { say: [schemaMessage, record(1)], stderr: "CRITICAL 401 for token hush-hush\n", exit: 1 },
      { secrets: { token: "hush-hush" } },
    );
    const error: unknown = await read(tap).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "COMMAND_FAILED",
      rule: { retry: true },
      message: expect.stringContaining("CRITICAL 401 for token ***") as unknown,
    });
    expect(said).toContainEqual({ level: "warn", line: "CRITICAL 401 for token ***" });
  });

  it("by a kill in the middle leaves the positions before it to go on from", async () => {
    const tap = await open({ say: [schemaMessage], generate: { records: 25_000, stateEvery: 100 }, dieBy: "SIGKILL" });
    const positions: unknown[] = [];
    await expect(async () => {
      for await (const { position } of tap.source?.read(taps.request({ cursor: "id" })) ?? []) positions.push(position);
    }).rejects.toMatchObject({ code: "COMMAND_FAILED", message: expect.stringContaining("SIGKILL") as unknown });
    expect(positions).toEqual([{ state: '{"id":10000}' }, { state: '{"id":20000}' }]);
  });

  it("is gone after an abort, also when it ignores that, and its files with it", async () => {
    const stop = new AbortController();
    const tap = await open(
      { say: [schemaMessage], generate: { records: 20_000, stateEvery: 100 }, hang: true },
      {},
      {},
      { signal: stop.signal },
    );
    await expect(async () => {
      for await (const _ of tap.source?.read(taps.request({ cursor: "id" })) ?? []) stop.abort(new Error("enough"));
    }).rejects.toThrow("enough");
    const pid = starts().at(-1)?.pid ?? 0;
    for (let left = 200; left > 0 && isAlive(pid); left -= 1) await pause(50);
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(taps.folder)).toEqual(["seen.jsonl"]);
  });

  it("is stopped when its reader stops early", async () => {
    const tap = await open({ say: [schemaMessage], generate: { records: 100_000_000, stateEvery: 100 } });
    for await (const batch of tap.source?.read(taps.request()) ?? []) {
      expect(batch.rows).toBeGreaterThan(0);
      break;
    }
    expect(isAlive(starts().at(-1)?.pid ?? 0)).toBe(false);
  });

  it("all of its records come, however slowly they are taken", async () => {
    const tap = await open({ say: [schemaMessage], generate: { records: 60_000, stateEvery: 1_000_000 } });
    let rows = 0;
    for await (const batch of tap.source?.read(taps.request()) ?? []) {
      await pause(1_500);
      rows += batch.rows;
    }
    expect(rows).toBe(60_000);
  });
});
