// A real Singer tap (meltanolabs-tap-postgres, from the Python registry) against the contract of sources, and its load into DuckDB through a kill.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { sourceCases } from "../../connectors/contract/source.ts";
import { shareDuckdb } from "../../connectors/lib/duckdb-instance.ts";
import { singer } from "../../connectors/singer/spec.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { installedTap } from "../fixtures/taps.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import type { LoadSettings } from "./singer-load.ts";
import { batchesOf, request, rowsOf } from "./sql-roles.ts";

const installed = await installedTap("tap-postgres");
const program = "folder" in installed ? path.join(installed.folder, "tap-postgres") : "";
const { url, host, port, user, password, database } = await freshPostgresDatabase();
const folder = testFolder("singer");
const tap = {
  command: [program],
  config: { host, port, user, database, filter_schemas: ["public"] },
  secrets: { password: password ?? "none" },
};
const programs = { allowed: [program], images: [], environment: { PATH: "/usr/bin:/bin" }, folder };
const make = (more: Readonly<Record<string, unknown>> = {}, signal?: AbortSignal) =>
  openConnector(singer, { ...tap, ...more }, { ...testContext(folder, signal), programs });
const options = (given: Readonly<Record<string, unknown>> = {}) => singer.sourceOptions?.parse(given) as Readonly<Record<string, unknown>>;

const execute = async (sql: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
};

const ROWS = 50;
await execute(`
  create table orders (id bigint primary key, name text, price numeric(10,2), updated_at timestamptz not null, day date, tags jsonb, paid boolean);
  insert into orders select g, 'order ' || g, g / 4.0, '2026-01-01T00:00:00Z'::timestamptz + g * interval '1 minute', date '2026-01-01' + g::int, '{"a": [1]}', g % 2 = 0
    from generate_series(1, ${ROWS}) g;
  create table nothing (id integer primary key, name text);
`);

describe.skipIf(program === "")("a real tap", { timeout: 300_000 }, () => {
  runCases(
    "tap-postgres",
    sourceCases({
      open: (signal) => make({}, signal),
      stream: "public-orders",
      options: options(),
      capabilities: singer.capabilities,
      expectedRows: ROWS,
      discovered: "public-orders",
      emptyStream: "public-nothing",
    }),
  );

  it("gives keys, types and values, of which the task may name some", async () => {
    await using connector = await make();
    const info = (await connector.source?.discover())?.find(({ name }) => name === "public-orders");
    expect(info?.key).toEqual(["id"]);
    expect(Object.fromEntries((info?.columns ?? []).map(({ name, type }) => [name, type.kind]))).toEqual({
      id: "int64",
      name: "string",
      price: "float64",
      updated_at: "timestamptz",
      day: "date",
      tags: "json",
      paid: "bool",
    });
    const asked = request({ stream: "public-orders", options: options({ columns: { price: "decimal(10,2)" } }) });
    const rows = await rowsOf(connector.source!.read(asked));
    expect(rows.find(({ id }) => id === 2)).toEqual({
      id: 2,
      name: "order 2",
      price: "0.50",
      updated_at: "2026-01-01T00:02:00Z",
      day: "2026-01-03",
      tags: { a: [1] },
      paid: true,
    });
  });

  it("goes on from its state: the last row again, and what is new", async () => {
    await using connector = await make();
    const asked = request({ stream: "public-orders", cursor: "updated_at", options: options() });
    const position = (await batchesOf(connector.source!.read(asked))).at(-1)?.position ?? null;
    expect(position).not.toBeNull();
    await execute(`insert into orders values (1001, 'new', 1, '2026-02-01T00:00:00Z', null, null, null)`);
    const rows = await rowsOf(connector.source!.read({ ...asked, position }));
    expect(rows.map(({ id }) => id)).toEqual([ROWS, 1001]);
    await execute(`delete from orders where id = 1001`);
  });

  it("says what the tap says when it fails, without the password", async () => {
    await using connector = await make({ config: { ...tap.config, port: 1 }, secrets: { password: "s3cret-in-no-message" } });
    const error: unknown = await connector.check().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "COMMAND_FAILED", message: expect.stringContaining("Connection refused") as unknown });
    expect(String(error)).not.toContain("s3cret-in-no-message");
  });

  it("a load whose worker is killed goes on from the committed state, and no row is lost or doubled", async () => {
    const rows = 45_000;
    await execute(`
      create table events (id bigint primary key, text text);
      insert into events select g, rpad(g::text, 3500, 'x') from generate_series(1, ${rows}) g;
    `);
    const settings: LoadSettings = {
      tap,
      allowed: [program],
      stream: "public-events",
      cursor: "id",
      warehouse: path.join(folder, "warehouse.duckdb"),
      folder,
      origin: "run-1",
    };
    const script = path.join(import.meta.dirname, "singer-load.ts");
    const run = async (more: Partial<LoadSettings>): Promise<{ readonly signal: unknown; readonly output: string }> => {
      const child = spawn(process.execPath, [script, JSON.stringify({ ...settings, ...more })], { stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (text: Buffer) => {
        output += text.toString("utf8");
      });
      const [, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
      return { signal, output };
    };
    expect(await run({ failpoints: "after-commit:1" })).toEqual({ signal: "SIGKILL", output: "" });
    const count = async (): Promise<readonly unknown[]> => {
      await using shared = await shareDuckdb(settings.warehouse, { memoryLimit: "500MB", threads: 1 });
      const connection = await shared.connect();
      try {
        const sql = `select count(*)::int, count(distinct id)::int, min(id)::int, max(id)::int, sum(length(text))::varchar from orders`;
        return (await connection.runAndReadAll(sql)).getRows()[0] ?? [];
      } finally {
        connection.closeSync();
      }
    };
    const [committed = 0] = (await count()) as readonly number[];
    expect(committed).toBeGreaterThan(0);
    expect(committed).toBeLessThan(rows);
    const { output } = await run({});
    expect(await count()).toEqual([rows, rows, 1, rows, String(rows * 3_500)]);
    // What was committed did not come again, but for the rows from its last state on.
    expect((JSON.parse(output) as { rows: number }).rows).toBeLessThan(rows + committed);
  });
});
