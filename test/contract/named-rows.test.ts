// Files whose rows are named and not carried, into DuckDB and PostgreSQL: every row once, the last of a key, each value exactly, and clear errors.

import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, it } from "vitest";
import { choosingSource } from "../../activities/column-choices.ts";
import { moveLoad } from "../../activities/move-load.ts";
import type { Connector, ConnectorContext, LoadTarget } from "../../connectors/connector.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import type { ColumnChoices } from "../../core/definition-columns.ts";
import { createObjectSource } from "../../connectors/lib/object-source.ts";
import { postgres } from "../../connectors/postgres/spec.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { copiedObjects } from "./copied-objects.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { target } from "./load-kit.ts";
import { batchesOf, expectCode, rowsOf } from "./sql-roles.ts";

const folder = testFolder("named-rows");
const tempDir = path.join(folder, "temp");
await mkdir(tempDir, { recursive: true });

const write = async (name: string, query: string): Promise<void> => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const format = name.endsWith(".csv") ? "format csv, header" : "format parquet";
  await connection.run(`copy (${query}) to '${path.join(folder, name)}' (${format})`);
  connection.closeSync();
  instance.closeSync();
};

const ownFolder = path.join(folder, "own");
await mkdir(ownFolder, { recursive: true });
const context = (): ConnectorContext => ({ ...testContext(folder), tempDir: ownFolder });

let databases = 0;
const WAREHOUSES = {
  duckdb: () => openConnector(duckdb, { path: `w${(databases += 1)}.duckdb`, memory_limit: "200MB", threads: 2 }, context()),
  postgres: async () => {
    const { url: _, ...address } = await freshPostgresDatabase();
    return openConnector(postgres, address, context());
  },
} as const satisfies Record<string, () => Promise<Connector>>;

const move = async ({ destination }: Connector, names: readonly string[], given: Partial<LoadTarget> = {}, choices?: ColumnChoices) => {
  if (destination === undefined) throw new Error("it is a destination");
  const { signal } = new AbortController();
  await using load = await destination.openLoad(target(given));
  const source = createObjectSource(copiedObjects(folder, tempDir, names), { signal, tempDir });
  return await moveLoad({
    source: choices === undefined ? source : choosingSource(source, choices),
    load,
    request: { stream: "*", options: { new_only: false, delimiter: ",", header: true }, nullCursor: "fail" },
    limits: { maxRows: 0 },
    signal,
    progress: () => undefined,
  });
};

const MANY = 520_000;

describe.each([
  ["csv", "duckdb"],
  ["parquet", "duckdb"],
  ["csv", "postgres"],
  ["parquet", "postgres"],
] as const)("%s into %s", (format, warehouseName) => {
  const openWarehouse = WAREHOUSES[warehouseName];

  it("appends every row once, in chunks, and leaves no file behind", async () => {
    await write(`1.${format}`, `select i as id, 'name ' || i as name from range(${MANY}) t(i)`);
    await write(`2.${format}`, `select i as id, 'name ' || i as name, i / 2 as half from range(${MANY}, ${MANY} + 10) t(i)`);
    await using warehouse = await openWarehouse();
    const figures = await move(warehouse, [`1.${format}`, `2.${format}`]);
    expect(figures).toMatchObject({ rows: MANY + 10, deadLetters: 0 });
    expect(figures.chunks).toBe(2);
    const query = "select count(*) as n, count(distinct id) as ids, max(name) as name, sum(half) as half from t";
    expect(await rowsOf(warehouse.sql!.query(query))).toEqual([{ n: MANY + 10, ids: MANY + 10, name: "name 99999", half: 2_600_022.5 }]);
    expect(await readdir(tempDir)).toEqual([]);
    expect(await readdir(ownFolder)).toEqual([]);
  });

  it("merges: of rows with the same key the last one stays, wherever in the files it lies", async () => {
    const versions = (from: number, to: number): string => `select i % 1000 as id, i as version from range(${from}, ${to}) t(i)`;
    await write(`m1.${format}`, versions(0, MANY));
    await write(`m2.${format}`, versions(MANY, MANY + 500));
    await using warehouse = await openWarehouse();
    await move(warehouse, [`m1.${format}`, `m2.${format}`], { mode: "merge", keyColumns: ["id"] });
    const wrong = `select count(*) as n, count(*) filter (where version <> case when id < 500 then ${MANY} + id else ${MANY} - 1000 + id end) as wrong from t`;
    expect(await rowsOf(warehouse.sql!.query(wrong))).toEqual([{ n: 1_000, wrong: 0 }]);
  });

  it("takes chosen columns alone, under their new names; redacted ones are NULL", async () => {
    await write(`c.${format}`, "select i as id, 'n' || i as name, date '2026-01-01' + i::int as day, i / 2 as half from range(3) t(i)");
    await using warehouse = await openWarehouse();
    const choices = { select: ["half", "name", "day", "id"], rename: { half: "part" }, redact: ["day", "name"] };
    await move(warehouse, [`c.${format}`], {}, choices);
    const [batch] = await batchesOf(warehouse.sql!.query("select * from t order by id desc limit 1"));
    expect(batch!.schema.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual([
      "part float64",
      "name string",
      "day date",
      "id int64",
    ]);
    expect(toRows(batch!)).toEqual([{ part: 1, name: null, day: null, id: 2 }]);
  });

  it("takes whole numbers beside fractions, whichever come first, and refuses one that would be rounded", async () => {
    await write(`n-whole.${format}`, "select i as id, i as v from range(3) t(i)");
    await write(`n-half.${format}`, "select 3 + i as id, i + cast(0.5 as double) as v from range(3) t(i)");
    await write(`n-large.${format}`, "select 6::bigint as id, 9007199254740993 as v");
    for (const order of [
      ["whole", "half"],
      ["half", "whole"],
    ]) {
      await using warehouse = await openWarehouse();
      for (const name of order) await move(warehouse, [`n-${name}.${format}`], { origin: name });
      const found = (): Promise<unknown> => rowsOf(warehouse.sql!.query("select count(*) as n, sum(v) as total from t"));
      expect(await found()).toEqual([{ n: 6, total: 7.5 }]);
      await expectCode(move(warehouse, [`n-large.${format}`], { origin: "large" }), "DESTINATION_SCHEMA_MISMATCH", '"v"');
      expect(await found()).toEqual([{ n: 6, total: 7.5 }]);
    }
  });

  it("replaces, and what the table held before is gone", async () => {
    await write(`r.${format}`, "select i as id from range(5) t(i)");
    await using warehouse = await openWarehouse();
    for (const origin of ["one", "two"]) await move(warehouse, [`r.${format}`], { mode: "replace", origin });
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n, sum(id) as ids from t"))).toMatchObject([
      { n: 5, ids: expect.toSatisfy((ids) => Number(ids) === 10) },
    ]);
  });
});

describe.each(["duckdb", "postgres"] as const)("a Parquet file that is damaged within, into %s", (warehouseName) => {
  const openWarehouse = WAREHOUSES[warehouseName];

  it("is SOURCE_FILE_BROKEN, though it is the destination that reads it, and none of its rows is in the table", async () => {
    await write("whole.parquet", `select i as id, 'name ' || i as name from range(${MANY}) t(i)`);
    await writeFile(
      path.join(folder, "damaged.parquet"),
      Buffer.from(await readFile(path.join(folder, "whole.parquet"))).fill(0xff, 4, 100_000),
    );
    await using warehouse = await openWarehouse();
    await expectCode(move(warehouse, ["damaged.parquet"]), "SOURCE_FILE_BROKEN", "damaged.parquet");
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n from t"))).toEqual([{ n: 0 }]);
  });
});

describe("values of named rows in PostgreSQL", () => {
  const COLUMNS: Readonly<Record<string, readonly string[]>> = {
    b: ["true", "false"],
    i: ["cast(-2147483648 as integer)", "cast(2147483647 as integer)"],
    l: ["cast(-9223372036854775808 as bigint)", "cast(9223372036854775807 as bigint)"],
    u: ["cast(18446744073709551615 as ubigint)", "cast(0 as ubigint)"],
    f: [
      "cast('nan' as double)",
      "cast('-inf' as double)",
      "cast(5e-324 as double)",
      "cast(1.7976931348623157e308 as double)",
      "cast(0.1 as double)",
    ],
    r: ["cast('inf' as float)", "cast(1.1754942e-38 as float)", "cast(0.1 as float)"],
    n: ["cast('-9999999999999999999999999999.9999999999' as decimal(38,10))", "cast('0.0000000001' as decimal(38,10))"],
    s: ["''", "' '", "'NULL'", "'\\N'", "'\\.'", "'a,b\"c\"d''e'", "'line\nfeed\r\n'", "'Größe 表 🎼\t'", "repeat('x', 70000)"],
    y: ["'\\x00\\xFF\\x27\\x5C'::blob", "''::blob"],
    d: ["date '0001-01-01'", "date '9999-12-30'", "date '1969-12-31'"],
    t: ["time '00:00:00'", "time '23:59:59.999999'"],
    w: ["timestamp '0001-01-01 00:00:00'", "timestamp '9999-12-30 23:59:59.999999'", "timestamp '1969-12-31 23:59:59.999999'"],
    z: ["timestamptz '2026-03-29 02:30:00.000001+02'", "timestamptz '1883-11-18 12:03:58+00'"],
    g: ["uuid 'ffffffff-ffff-4fff-bfff-ffffffffffff'"],
    j: [`'{"a": [1, null, "\\u00fc"]}'::json`, "'null'::json", `'"text"'::json`],
  };
  /** Row 0 has NULL everywhere. */
  const query = (more: Readonly<Record<string, readonly string[]>> = {}): string => {
    const columns = Object.entries(COLUMNS).map(([name, values]): [string, readonly string[]] => [
      name,
      [...values, ...(more[name] ?? [])],
    ]);
    const rows = Math.max(...columns.map(([, values]) => values.length));
    return Array.from({ length: rows + 1 }, (_, row) =>
      [
        "select",
        [`${row} as id`, ...columns.map(([name, values]) => `${values[row - 1] ?? `cast(null as typeof_${name})`} as ${name}`)].join(", "),
      ].join(" "),
    ).join(" union all ");
  };
  const TYPES: Readonly<Record<string, string>> = {
    b: "boolean",
    i: "integer",
    l: "bigint",
    u: "ubigint",
    f: "double",
    r: "float",
    n: "decimal(38,10)",
    s: "varchar",
    y: "blob",
    d: "date",
    t: "time",
    w: "timestamp",
    z: "timestamptz",
    g: "uuid",
    j: "json",
  };
  const typed = (sql: string): string => sql.replaceAll(/typeof_(\w)/g, (_, name: string) => TYPES[name] ?? "varchar");

  it.each([
    ["as CSV", {}],
    [
      "carried, where years are beyond four digits",
      { d: ["date '0044-03-15 (BC)'", "date '12345-06-07'"], w: ["timestamp '0044-03-15 (BC) 12:00:00'"] },
    ],
  ])("are those of rows that are carried (%s)", async (_, more) => {
    await write("values.parquet", typed(query(more)));
    await using warehouse = await WAREHOUSES.postgres();
    await move(warehouse, ["values.parquet"], { key: "named", table: "named" });
    const { destination } = warehouse;
    const carrying: Connector = {
      ...warehouse,
      destination: {
        ...destination!,
        openLoad: async (given) => {
          const load = await destination!.openLoad(given);
          return {
            resume: load.resume,
            begin: (bounds) => load.begin(bounds),
            write: (batch) => load.write(batch),
            commit: (position) => load.commit(position),
            finish: () => load.finish(),
            seen: (items) => load.seen(items),
            [Symbol.asyncDispose]: () => load[Symbol.asyncDispose](),
          };
        },
      },
    };
    await move(carrying, ["values.parquet"], { key: "carried", table: "carried" });
    const text = (table: string): string => `select x::text as row from (select * from ${table} order by id) as x`;
    const named = await rowsOf(warehouse.sql!.query(text("named")));
    expect(named.length).toBeGreaterThan(9);
    expect(named).toEqual(await rowsOf(warehouse.sql!.query(text("carried"))));
  });

  it("that the server cannot hold are refused with the column's name, and none of their rows is there", async () => {
    await write("nul.parquet", "select i as id, case when i = 3 then 'a' || chr(0) || 'secret' else 'fine' end as said from range(5) t(i)");
    await using warehouse = await WAREHOUSES.postgres();
    const failed: unknown = await move(warehouse, ["nul.parquet"]).catch((error: unknown) => error);
    await expectCode(Promise.reject(failed as Error), "DESTINATION_DATA_REFUSED", '"said"');
    expect(String(failed)).not.toContain("secret");
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n from t"))).toEqual([{ n: 0 }]);
  });

  it("go through the temporary table where the column is of another type that takes them", async () => {
    await write("cast.parquet", "select i as id, cast(i as integer) as amount, cast('{\"a\": 1}' as json) as j from range(3) t(i)");
    await using warehouse = await WAREHOUSES.postgres();
    await warehouse.sql!.execute("create table t (id bigint, amount numeric(10,2), j jsonb)");
    await move(warehouse, ["cast.parquet"]);
    expect(await rowsOf(warehouse.sql!.query("select id, amount::text as amount, j::text as j from t order by id limit 1"))).toEqual([
      { id: 0, amount: "0.00", j: '{"a": 1}' },
    ]);
  });

  it("for which the worker's disk has no room are DESTINATION_FULL, and none of their rows is there", async () => {
    await write("large.parquet", "select i as id, repeat('x', 100) || i as name from range(100000) t(i)");
    const { url: _, ...address } = await freshPostgresDatabase();
    const script = `
      import { postgres } from "./connectors/postgres/spec.ts";
      const none = () => {};
      const folder = ${JSON.stringify(ownFolder)};
      const context = { signal: new AbortController().signal, log: { debug: none, info: none, warn: none }, progress: none, tempDir: folder, baseDir: folder };
      const connector = await postgres.open(postgres.config.parse(${JSON.stringify(address)}), context);
      const target = { key: "k", origin: "o", incremental: false, table: "t", mode: "append", keyColumns: [], schema: "evolve", options: {}, failpoint: async () => {} };
      const load = await connector.destination.openLoad(target);
      await load.begin(null);
      const columns = [{ name: "id", type: { kind: "int64" }, nullable: true }, { name: "name", type: { kind: "string" }, nullable: true }];
      const parquet = { file: ${JSON.stringify(path.join(folder, "large.parquet"))}, from: 0, select: ["id", "name"], confirm: async () => {}, release: async () => {} };
      try {
        await load.write({ schema: { columns }, rows: 100000, columns: [], bytes: 1, position: null, parquet });
        await load.commit(null);
        console.log("all written");
      } catch (error) {
        console.log(error.code);
      }
      process.exit(0);
    `;
    // A file may have 2 MB; its CSV has 11.
    const args = ["-c", 'ulimit -f 4000; exec "$0" --input-type=module -e "$1"', process.execPath, script];
    const { stdout } = await promisify(execFile)("sh", args, { cwd: path.resolve(import.meta.dirname, "../..") });
    expect(stdout.trim()).toBe("DESTINATION_FULL");
    await using warehouse = await openConnector(postgres, address, context());
    expect(await rowsOf(warehouse.sql!.query("select count(*) as n from t"))).toEqual([{ n: 0 }]);
  });
});
