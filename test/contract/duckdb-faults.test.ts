// DuckDB when something is wrong: files of others, full disks, rows and names that it cannot hold.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Connector } from "../../connectors/connector.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";
import { expectCode, rowsOf } from "./sql-roles.ts";

const folder = testFolder("duckdb-faults");
const open = (file: string, signal?: AbortSignal): Promise<Connector> =>
  openConnector(duckdb, { path: file, memory_limit: "200MB", threads: 2 }, testContext(folder, signal));

/** Runs a script in a process of its own, and gives what it wrote first. */
const inProcess = async (script: string, limit = ""): Promise<{ readonly said: string; readonly end: () => Promise<void> }> => {
  const child = spawn("sh", ["-c", `${limit} exec "$0" --input-type=module -e "$1"`, process.execPath, script], {
    cwd: path.resolve(import.meta.dirname, "../.."),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [said] = (await Promise.race([once(child.stdout, "data"), exited.then(() => ["nothing"])])) as [Buffer | string];
  return {
    said: String(said).trim(),
    end: async () => {
      child.stdin.end();
      await exited;
    },
  };
};

describe("duckdb faults", () => {
  it("says that another process has the file", async () => {
    const file = path.join(folder, "owned.duckdb");
    const owner = await inProcess(
      `import { DuckDBInstance } from "@duckdb/node-api"; const db = await DuckDBInstance.create(${JSON.stringify(file)}); console.log("ready"); process.stdin.resume(); process.stdin.on("end", () => { db.closeSync(); process.exit(); });`,
    );
    expect(owner.said).toBe("ready");
    {
      await using connector = await open(file);
      await expectCode(connector.check(), "DESTINATION_UNAVAILABLE", "another process");
    }
    await owner.end();
    await using connector = await open(file);
    await connector.check();
  });

  it("says that a file is no DuckDB file, and that a folder is missing", async () => {
    await writeFile(path.join(folder, "text.duckdb"), "this is only text, but it is long enough to be looked at\n".repeat(300));
    await using text = await open("text.duckdb");
    await expectCode(text.check(), "CONNECTION_INVALID", "text.duckdb");
    await using missing = await open("no/such/folder/w.duckdb");
    await expectCode(missing.check(), "CONNECTION_INVALID", "no/such/folder");
  });

  it("says that the disk is full, and loses nothing that was committed", async () => {
    const script = `
      import { duckdb } from "./connectors/duckdb/spec.ts";
      const none = () => {};
      const context = { signal: new AbortController().signal, log: { debug: none, info: none, warn: none }, progress: none, tempDir: ${JSON.stringify(folder)}, baseDir: ${JSON.stringify(folder)} };
      const connector = await duckdb.open(duckdb.config.parse({ path: "full.duckdb", memory_limit: "100MB" }), context);
      const load = await connector.destination.openLoad({ key: "k", origin: "o", incremental: false, table: "t", mode: "append", keyColumns: [], schema: "evolve", options: {}, failpoint: async () => {} });
      if (load.resume.bounds === undefined) await load.begin(null);
      const rows = 50000;
      const data = new Uint8Array(rows * 36);
      for (let at = 0; at < data.length; at += 1) data[at] = 97 + Math.floor(Math.random() * 26);
      const batch = (position) => ({ schema: { columns: [{ name: "s", type: { kind: "string" }, nullable: false }] }, rows, bytes: data.length, position,
        columns: [{ layout: "text", offsets: Int32Array.from({ length: rows + 1 }, (_, row) => row * 36), data, valid: null }] });
      let chunks = 0;
      try {
        for (; chunks < 40; chunks += 1) { await load.write(batch(chunks + 1)); await load.commit(chunks + 1); }
        console.log("all written");
      } catch (error) {
        console.log(error.code + " " + chunks);
      }
      process.exit(0);
    `;
    const { said, end } = await inProcess(script, "ulimit -f 40000;");
    await end();
    const [code, chunks] = said.split(" ");
    expect(code).toBe("DESTINATION_FULL");
    expect(Number(chunks)).toBeGreaterThan(0);
    await using connector = await open("full.duckdb");
    const [row] = await rowsOf(
      connector.sql!.query("select (select count(*) from t) as n, (select rows from _downbeat.loads) as committed"),
    );
    expect(row).toEqual({ n: Number(chunks) * 50_000, committed: Number(chunks) * 50_000 });
  });

  it("refuses times outside of a day and text that is no UTF-8", async () => {
    await using connector = await open("rows.duckdb");
    await using times = await connector.destination!.openLoad(target({ key: "times" }));
    await expectCode(write(times, [column("opens", { kind: "time" })], [{ opens: "-00:00:01" }]), "DESTINATION_DATA_REFUSED", "opens");
    await using texts = await connector.destination!.openLoad(target({ key: "texts", table: "texts" }));
    await texts.begin(null);
    const batch = {
      schema: { columns: [column("s", { kind: "string" })] },
      rows: 1,
      bytes: 2,
      position: null,
      columns: [{ layout: "text", offsets: Int32Array.of(0, 2), data: Uint8Array.of(0xc3, 0x28), valid: null }],
    } as const;
    await texts.write(batch);
    await expectCode(texts.commit(null), "DESTINATION_DATA_REFUSED");
  });

  it("refuses two columns that are one name to DuckDB", async () => {
    await using connector = await open("rows.duckdb");
    await using load = await connector.destination!.openLoad(target({ key: "names", table: "names" }));
    const columns = [column("id", { kind: "int32" }), column("ID", { kind: "int32" })];
    await expectCode(write(load, columns, []), "DESTINATION_TABLE_INVALID", '"id"', '"ID"');
  });

  it("writes into a table of the user's own, and says what its constraints refuse", async () => {
    await using connector = await open("own.duckdb");
    await connector.sql!.execute(
      "create table own (id smallint not null, mood varchar check (mood <> 'bad'), made timestamp default now())",
    );
    const columns = [column("ID", { kind: "string" }), column("mood", { kind: "string" })];
    await using good = await connector.destination!.openLoad(target({ key: "own/good", table: "own" }));
    await write(good, columns, [{ ID: "7", mood: "good" }]);
    expect(await rowsOf(connector.sql!.query("select id, mood, made is not null as has_time from own"))).toEqual([
      { id: 7, mood: "good", has_time: true },
    ]);
    await using bad = await connector.destination!.openLoad(target({ key: "own/bad", table: "own" }));
    await expectCode(write(bad, columns, [{ ID: "8", mood: "bad" }]), "DESTINATION_DATA_REFUSED", "CHECK");
    await using far = await connector.destination!.openLoad(target({ key: "own/far", table: "own" }));
    await expectCode(write(far, columns, [{ ID: "80000", mood: "good" }]), "DESTINATION_DATA_REFUSED");
    await using lacking = await connector.destination!.openLoad(target({ key: "own/lacking", table: "own" }));
    await expectCode(write(lacking, columns.slice(1), [{ mood: "good" }]), "DESTINATION_SCHEMA_MISMATCH", '"id"');
  });

  it("replace keeps indexes and views", async () => {
    await using connector = await open("kept.duckdb");
    await connector.sql!.execute(
      "create table kept (id int); insert into kept values (1), (2); create index kept_ids on kept (id); create view seen as select * from kept",
    );
    await using load = await connector.destination!.openLoad(target({ mode: "replace", table: "kept" }));
    await write(load, [column("id", { kind: "int32" }), column("more", { kind: "string" })], [{ id: 9, more: "x" }]);
    expect(await rowsOf(connector.sql!.query("select id from seen"))).toEqual([{ id: 9 }]);
    expect(await rowsOf(connector.sql!.query("select index_name from duckdb_indexes() where table_name = 'kept'"))).toEqual([
      { index_name: "kept_ids" },
    ]);
  });

  it("stops soon when the signal says so", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using connector = await open("stopped.duckdb", stop.signal);
    const long = connector.sql!.execute(
      "create table t as select a.range as a from range(100000) a, range(100000) b where a.range + b.range = -1",
    );
    long.catch(() => undefined);
    setTimeout(() => stop.abort(reason), 100);
    await expect(long).rejects.toBe(reason);
  });
});

describe("duckdb types as a source", () => {
  it("reads every type without loss", async () => {
    await using connector = await open("types.duckdb");
    const sql = `select true as b, (-128)::tinyint as i1, (-32768)::smallint as i2, 255::utinyint as u1, 65535::usmallint as u2, 4294967295::uinteger as u4,
      (-9223372036854775808)::bigint as i8, 18446744073709551615::ubigint as u8, 123456789012345678901234567890::hugeint as h, sum(i) as total,
      1.401298464324817e-45::float as f4, 'nan'::double as f8, (-0.05)::decimal(4,2) as d4, 12345678901234567.8::decimal(18,1) as d18,
      12345678901234567890.5::decimal(38,1) as d38, 'ü' as s, '\\x00\\xFF'::blob as bin, date '0044-03-15 (BC)' as ides, date '5881580-07-10' as last,
      time '23:59:59.999999' as t, timestamp '1969-12-31 23:59:59.999999' as ts, timestamp_s '2026-01-02 03:04:05' as ts_s, timestamp_ms '2026-01-02 03:04:05.006' as ts_ms,
      timestamp_ns '2026-01-02 03:04:05.000000006' as ts_ns, timestamptz '2026-03-29 02:30:00+02' as tz, timetz '10:00:00+02' as ttz, interval '1 month 2 days 3.5 seconds' as iv,
      '{"b":1,  "a":2}'::json as j, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid as u, [[1, null], [3]] as list, [1, 2]::integer[2] as arr, {'a': 1, 'b': 'x'} as st,
      map {'k': 1.5} as m, 'good'::enum('good', 'bad') as e, '101'::bit as bits, null as nothing
      from range(3) as r(i)`;
    expect(await rowsOf(connector.sql!.query(sql))).toEqual([
      {
        b: true,
        i1: -128,
        i2: -32768,
        u1: 255,
        u2: 65535,
        u4: 4294967295,
        i8: "-9223372036854775808",
        u8: "18446744073709551615",
        h: "123456789012345678901234567890",
        total: "3",
        f4: 1.401298464324817e-45,
        f8: "NaN",
        d4: "-0.05",
        d18: "12345678901234567.8",
        d38: "12345678901234567890.5",
        s: "ü",
        bin: "AP8=",
        ides: "-000043-03-15",
        last: "+5881580-07-10",
        t: "23:59:59.999999",
        ts: "1969-12-31T23:59:59.999999",
        ts_s: "2026-01-02T03:04:05",
        ts_ms: "2026-01-02T03:04:05.006000",
        ts_ns: "2026-01-02 03:04:05.000000006",
        tz: "2026-03-29T00:30:00Z",
        ttz: "10:00:00+02",
        iv: "1 month 2 days 00:00:03.5",
        j: { b: 1, a: 2 },
        u: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        list: [[1, null], [3]],
        arr: [1, 2],
        st: { a: 1, b: "x" },
        m: { k: 1.5 },
        e: "good",
        bits: "101",
        nothing: null,
      },
    ]);
  });

  it("refuses infinite dates and sums beyond 38 digits", async () => {
    await using connector = await open("types.duckdb");
    await expectCode(rowsOf(connector.sql!.query("select 'infinity'::timestamp as at")), "SOURCE_DATA_INVALID", "infinite");
    await expectCode(rowsOf(connector.sql!.query("select 170141183460469231731687303715884105727::hugeint as h")), "SQL_FAILED");
  });
});

it("a column that is a parameter alone is refused with what to do, and taken with a cast", async () => {
  await using connector = await open("parameters.duckdb");
  await expectCode(rowsOf(connector.sql!.query("select :a as a", { a: 1 })), "SOURCE_TYPE_UNSUPPORTED", "column 1", "cast it");
  expect(await rowsOf(connector.sql!.query("select :a::int as a", { a: 1 }))).toEqual([{ a: 1 }]);
});
