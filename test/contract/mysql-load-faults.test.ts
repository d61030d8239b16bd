// MySQL as a destination when something is wrong: tables of the user's own, rows and names that it cannot hold, servers that go away.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { inspect } from "node:util";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { describe, expect, it, vi } from "vitest";
import { startMysql } from "../../bin/services/mysql.ts";
import type { Column } from "../../connectors/batch.ts";
import type { Connector, LoadTarget } from "../../connectors/connector.ts";
import { stagingName } from "../../connectors/lib/load/bookkeeping.ts";
import { fromRows, type Row } from "../../connectors/lib/rows.ts";
import { mysql } from "../../connectors/mysql/spec.ts";
import { openConnector, testContext } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";
import { address, folder, make, run } from "./mysql-kit.ts";
import { expectCode } from "./sql-roles.ts";

const INT = { kind: "int32" } as const;
const TEXT = { kind: "string" } as const;
const WAYS = ["auto", "never"] as const;

let loads = 0;

/** A whole load of its own. */
const loadInto = async (given: Partial<LoadTarget>, columns: readonly Column[], rows: readonly Row[]): Promise<void> => {
  await using connector = await make();
  await using load = await connector.destination!.openLoad(target({ key: `load ${(loads += 1)}`, ...given }));
  await write(load, columns, rows);
};

describe("loads into tables of the user's own", () => {
  it.each(WAYS)(
    "load_data %s: refuses what the server would cut, round, replace or leave out, and keeps nothing of the chunk",
    async (way) => {
      const options = { load_data: way };
      const table = `own_${way}`;
      await run(
        `create table ${table} (id int primary key auto_increment, code varchar(3), mood enum('good', 'bad'), n decimal(6, 2), at timestamp(6) null, made datetime not null default now(),
         must int not null default 7, age int check (age > 0), latin varchar(9) character set latin1)`,
      );
      const columns = [
        column("id", INT),
        column("CODE", TEXT),
        column("mood", TEXT),
        column("n", { kind: "decimal", precision: 5, scale: 2 }),
        column("at", { kind: "timestamptz" }),
        column("age", INT),
        column("latin", TEXT),
      ];
      const good: Row = { id: 0, CODE: "abc", mood: "good", n: "1.25", at: "2026-03-29T00:30:00.000001Z", age: 1, latin: "Größe" };
      const load = (...rows: readonly Row[]): Promise<void> => loadInto({ table, options }, columns, rows);
      await load(good, { id: 5 });
      expect(await run(`select id, code, mood, n, at, must, age, latin, made > '2020-01-01' as made from ${table} order by id`)).toEqual([
        { id: "0", code: "abc", mood: "good", n: "1.25", at: "2026-03-29 00:30:00.000001", must: "7", age: "1", latin: "Größe", made: "1" },
        { id: "5", code: null, mood: null, n: null, at: null, must: "7", age: null, latin: null, made: "1" },
      ]);
      await expectCode(load({ ...good, id: 10 }, { ...good, id: 11, CODE: "abcd" }), "DESTINATION_DATA_REFUSED", "code");
      await expectCode(load({ ...good, id: 12, CODE: "abc " }), "DESTINATION_DATA_REFUSED", "code");
      await expectCode(load({ ...good, id: 13, mood: "fair" }), "DESTINATION_DATA_REFUSED", "mood");
      await expectCode(load({ ...good, id: 14, at: "2039-01-01T00:00:00Z" }), "DESTINATION_DATA_REFUSED", "at");
      await expectCode(load({ ...good, id: 15, age: -1 }), "DESTINATION_DATA_REFUSED");
      await expectCode(load({ ...good, id: 16, latin: "表" }), "DESTINATION_DATA_REFUSED", "latin");
      await expectCode(load({ ...good, id: 17 }, { ...good, id: 5 }), "DESTINATION_DATA_REFUSED", "PRIMARY");
      await expectCode(
        loadInto({ table, options }, [column("must", INT)], [{ must: 1 }, { must: null }]),
        "DESTINATION_DATA_REFUSED",
        "must",
      );
      await run(`alter table ${table} add column due int not null`);
      await expectCode(load(good), "DESTINATION_SCHEMA_MISMATCH", '"due"');
      expect(await run(`select count(*) as n from ${table}`)).toEqual([{ n: "2" }]);
    },
  );

  it("says no value of a refused row", async () => {
    await run("create table quiet (id int, v varchar(3), unique key by_v (v), d date)");
    const load = (columns: readonly Column[], ...rows: readonly Row[]): Promise<unknown> =>
      loadInto({ table: "quiet" }, columns, rows).catch((error: unknown) => error);
    const doubled = await load([column("v", TEXT)], { v: "top" }, { v: "top" });
    expect(String(doubled)).toContain("by_v");
    expect(String(doubled)).not.toContain("top'");
    const long = await load([column("v", TEXT)], { v: "secret" });
    expect(String(long)).not.toContain("secret");
  });

  it("refuses types that a column holds a part of, and text that would be rounded", async () => {
    await run("create table narrow (id int, s smallint, u int unsigned, d datetime, t time(3), c char(4), b binary(4))");
    const refused: readonly (readonly [string, Column["type"]])[] = [
      ["s", INT],
      ["s", TEXT],
      ["u", { kind: "int64" }],
      ["d", { kind: "timestamp" }],
      ["d", TEXT],
      ["t", { kind: "time" }],
      ["b", { kind: "binary" }],
      ["id", TEXT],
    ];
    for (const [name, type] of refused) {
      await expectCode(
        loadInto({ table: "narrow", schema: "freeze" }, [column(name, type)], []),
        "DESTINATION_SCHEMA_MISMATCH",
        `"${name}"`,
      );
    }
    await loadInto({ table: "narrow" }, [column("c", TEXT)], [{ c: "ab" }]);
    expect(await run("select c from narrow")).toEqual([{ c: "ab" }]);
  });

  it("widens a column and keeps its default, NOT NULL and comment", async () => {
    await run(
      `create table widened (id int not null default 5 comment 'it''s \\\\ an id', v int default (1 + 2))`,
      "insert into widened (id) values (default)",
    );
    await loadInto({ table: "widened" }, [column("id", { kind: "int64" })], [{ id: 2 ** 40 }]);
    await loadInto({ table: "widened" }, [column("v", { kind: "int64" })], [{ v: 2 ** 41 }]);
    expect((await run("select v from widened order by v")).map(({ v }) => v)).toEqual(["3", "3", String(2 ** 41)]);
    const [id] = await run("show full columns from widened");
    expect(id).toMatchObject({ Null: "NO", Default: "5", Comment: "it's \\ an id" });
    expect(id!["Type"]).toMatch(/^bigint/);
    expect((await run("select id from widened order by id")).map((row) => row["id"])).toEqual(["5", "5", String(2 ** 40)]);
  });

  it("merges text keys that differ by case, accent or a trailing space alone as different ones", async () => {
    const merge = { table: "words", mode: "merge", keyColumns: ["word"] } as const;
    const columns = [column("word", TEXT), column("n", INT)];
    await loadInto(
      merge,
      columns,
      ["a", "A", "á", "a ", "a\t"].map((word, n) => ({ word, n })),
    );
    await loadInto(merge, columns, [{ word: "A", n: 10 }]);
    expect(await run("select word, n from words order by n")).toEqual(
      [
        ["a", 0],
        ["á", 2],
        ["a ", 3],
        ["a\t", 4],
        ["A", 10],
      ].map(([word, n]) => ({ word, n: String(n) })),
    );
    const [key] = await run("show index from words");
    expect(key).toMatchObject({ Column_name: "word", Sub_part: "180" });
    await run("create table folding (word varchar(9) primary key, n int) character set utf8mb4 collate utf8mb4_general_ci");
    await expectCode(
      loadInto({ ...merge, table: "folding" }, columns, [
        { word: "a", n: 1 },
        { word: "A", n: 2 },
      ]),
      "DESTINATION_DATA_REFUSED",
      "PRIMARY",
    );
  });

  it("replace keeps views, indexes, triggers and rows that others point to, and shows the old rows until it is done", async () => {
    await run(
      "create table kept (id int primary key, note varchar(20) default 'x', key by_note (note))",
      "insert into kept values (1, 'a'), (2, 'b')",
      "create view kept_view as select * from kept",
      "create table logged (id int)",
      "create trigger kept_log after insert on kept for each row insert into logged values (new.id)",
    );
    const replace = (...ids: readonly number[]): Promise<void> =>
      loadInto(
        { table: "kept", mode: "replace" },
        [column("id", INT), column("more", TEXT)],
        ids.map((id) => ({ id, more: "m" })),
      );
    await replace(3, 4, 5);
    expect(await run("select id, note from kept_view order by id")).toEqual(["3", "4", "5"].map((id) => ({ id, note: "x" })));
    expect(await run("select count(*) as n from logged")).toEqual([{ n: "3" }]);
    expect((await run("show index from kept")).map((row) => row["Key_name"])).toEqual(["PRIMARY", "by_note"]);
    await run("create table pointing (kept int, foreign key (kept) references kept (id))", "insert into pointing values (3)");
    await expectCode(replace(3, 9), "DESTINATION_DATA_REFUSED", "pointing");
    expect(await run("select id from kept order by id")).toEqual(["3", "4", "5"].map((id) => ({ id })));
    expect(
      (await run("show tables like '\\_downbeat\\_%'")).flatMap(Object.values).filter((name) => /_[0-9a-f]{24}$/.test(String(name))),
    ).toHaveLength(1);
  });

  it("an attempt that finds its replace done removes what was left of the staging", async () => {
    const into = target({ key: "left", table: "left_over", mode: "replace" });
    await using connector = await make();
    {
      await using load = await connector.destination!.openLoad(into);
      await write(load, [column("id", INT)], [{ id: 1 }]);
    }
    await run(`create table ${stagingName(into, into.origin)} (id int)`);
    await using again = await connector.destination!.openLoad(into);
    expect(again.resume.done).toBe(true);
    const names = (await connector.source!.discover()).map(({ name }) => name);
    expect(names).toContain("left_over");
    expect(names.filter((name) => name.startsWith("_downbeat_"))).toEqual([]);
    expect(await run(`show tables like '${stagingName(into, into.origin)}'`)).toEqual([]);
  });
});

describe("streams that change their columns", () => {
  const A = [column("id", INT)];
  const AB = [...A, column("more", TEXT)];
  const batch = (columns: readonly Column[], id: number, position: number | null) => fromRows(columns, [{ id, more: "m" }], { position });

  it.each(["append", "merge"] as const)("%s: end the chunk at the last place, so that a death after it doubles nothing", async (mode) => {
    const into = target({ key: `cut ${mode}`, table: `cut_${mode}`, mode, keyColumns: mode === "merge" ? ["id"] : [] });
    await using connector = await make();
    {
      await using load = await connector.destination!.openLoad(into);
      await load.begin(null);
      await load.write(batch(A, 1, 1));
      await load.write(batch(AB, 2, 2));
    }
    await using load = await connector.destination!.openLoad(into);
    expect(load.resume).toMatchObject({ position: 1, rows: 1, done: false });
    await load.write(batch(AB, 2, 2));
    await load.write(batch(A, 3, 3));
    await load.write(batch(AB, 4, 4));
    await load.commit(4);
    await load.finish();
    expect(await run(`select id, more from cut_${mode} order by id`)).toEqual([
      { id: "1", more: null },
      { id: "2", more: "m" },
      { id: "3", more: null },
      { id: "4", more: "m" },
    ]);
  });

  it("without a place to end at are undone once, and then find the columns there", async () => {
    const into = target({ key: "placeless", table: "placeless" });
    const attempt = async (): Promise<void> => {
      await using connector = await make();
      await using load = await connector.destination!.openLoad(into);
      if (load.resume.bounds === undefined) await load.begin(null);
      await load.write(batch(A, 1, null));
      await load.write(batch(AB, 2, null));
      await load.commit(null);
      await load.finish();
    };
    await expectCode(attempt(), "DESTINATION_UNAVAILABLE", "placeless", "try again");
    expect(await run("select * from placeless")).toEqual([]);
    await attempt();
    expect(await run("select id, more from placeless order by id")).toEqual([
      { id: "1", more: null },
      { id: "2", more: "m" },
    ]);
  });
});

describe("values and names that MySQL cannot hold", () => {
  it.each(WAYS)("load_data %s: are refused with the column's name", async (way) => {
    const load = (name: string, type: Column["type"], value: unknown): Promise<void> =>
      loadInto(
        { table: `t${(loads += 1)}`, options: { load_data: way } },
        [column("id", INT), column(name, type)],
        [{ id: 1 }, { id: 2, [name]: value }],
      );
    await expectCode(load("ratio", { kind: "float64" }, "NaN"), "DESTINATION_DATA_REFUSED", '"ratio"', "row 2", "NaN");
    await expectCode(load("ratio", { kind: "float32" }, "-Infinity"), "DESTINATION_DATA_REFUSED", '"ratio"', "Infinity");
    await expectCode(load("day", { kind: "date" }, "+012345-06-07"), "DESTINATION_DATA_REFUSED", '"day"', "9999");
    await expectCode(load("day", { kind: "date" }, "0000-12-31"), "DESTINATION_DATA_REFUSED", '"day"');
    await expectCode(load("at", { kind: "timestamp" }, "-000001-01-01T00:00:00"), "DESTINATION_DATA_REFUSED", '"at"');
    await expectCode(load("opens", { kind: "time" }, "839:00:00"), "DESTINATION_DATA_REFUSED", "opens");
    await expectCode(load("x".repeat(65), INT, 1), "DESTINATION_TABLE_INVALID", "64", "65");
    await expectCode(load("🎼", INT, 1), "DESTINATION_TABLE_INVALID", "U+FFFF");
    await expectCode(load("ends ", INT, 1), "DESTINATION_TABLE_INVALID", "space");
    await expectCode(load("ID", INT, 1), "DESTINATION_TABLE_INVALID", '"id"', '"ID"');
    await expectCode(loadInto({ table: "t".repeat(65) }, [column("id", INT)], []), "DESTINATION_TABLE_INVALID", "64");
    await using connector = await make();
    await using bytes = await connector.destination!.openLoad(target({ key: `bytes ${way}`, table: "bytes", options: { load_data: way } }));
    await bytes.begin(null);
    await bytes.write({
      schema: { columns: [column("s", TEXT)] },
      rows: 2,
      bytes: 3,
      position: null,
      columns: [{ layout: "text", offsets: Int32Array.of(0, 1, 3), data: Uint8Array.of(97, 0xc3, 0x28), valid: null }],
    });
    await expectCode(bytes.commit(null), "DESTINATION_DATA_REFUSED", '"s"', "row 2", "UTF-8");
  });
});

describe("connections of loads", () => {
  it("a wrong password, a missing database and missing rights are the destination's, without the password", async () => {
    const password = "s3cret-in-no-message";
    await using wrong = await make(testContext(folder), { password });
    const error: unknown = await wrong.destination!.openLoad(target({})).catch((reason: unknown) => reason);
    await expectCode(Promise.reject(error as Error), "DESTINATION_AUTH", "password");
    expect(inspect(error, { depth: 10 })).not.toContain(password);
    await expectCode(wrong.sql!.execute("select 1"), "DESTINATION_AUTH");
    await using nowhere = await make(testContext(folder), { database: "there_is_none" });
    await expectCode(nowhere.destination!.openLoad(target({})), "CONNECTION_INVALID", "there_is_none");
    await using closed = await make(testContext(folder), { port: 1, connect_timeout: 2 });
    await expectCode(closed.destination!.openLoad(target({})), "DESTINATION_UNAVAILABLE", "port");
    const user = `r${process.pid}`;
    await run(`create user '${user}'@'%' identified by 'pw'`, `grant select on \`${address.database}\`.* to '${user}'@'%'`);
    await using reader = await make(testContext(folder), { user, password: "pw" });
    await using load = await make().then((connector) => connector.destination!.openLoad(target({ key: "rights", table: "rights" })));
    await load.begin(null);
    await expectCode(
      (async () => {
        await using refused = await reader.destination!.openLoad(target({ key: "rights 2", table: "rights" }));
        await write(refused, [column("id", INT)], [{ id: 1 }]);
      })(),
      "DESTINATION_AUTH",
      "grant",
    );
    await run(`drop user '${user}'@'%'`);
  });

  it("goes on after the server has ended a connection in the middle of a chunk", async () => {
    await using connector = await make();
    const into = target({ key: "ended", table: "ended" });
    const rows = (id: number) => fromRows([column("id", INT)], [{ id }], { position: id });
    {
      await using load = await connector.destination!.openLoad(into);
      await load.begin(null);
      await load.write(rows(1));
      await load.commit(1);
      await load.write(rows(2));
      // Whatever each of them is doing: one that has just answered is not yet said to sleep.
      const open = () => run(`select id from information_schema.processlist where db = '${address.database}' and id <> connection_id()`);
      const ended = await open();
      expect(ended).not.toHaveLength(0);
      // One that was about to go by itself may be gone by now.
      for (const { id } of ended) await run(`kill connection ${id}`).catch(() => undefined);
      await vi.waitFor(async () => expect(await open()).toEqual([]), { timeout: 30_000 });
      await expectCode(load.commit(2), "DESTINATION_UNAVAILABLE");
    }
    await using again = await connector.destination!.openLoad(into);
    expect(again.resume).toMatchObject({ done: false, position: 1, rows: 1 });
    expect(await run("select id from ended")).toEqual([{ id: "1" }]);
  });

  it("stops soon when the signal says so, also while it waits for a lock", async () => {
    await run("create table locked (id int primary key)", "insert into locked values (1)");
    const holder = await createConnection(address);
    try {
      await holder.query("start transaction");
      await holder.query("update locked set id = 2");
      const stop = new AbortController();
      const reason = new Error("enough");
      await using connector = await make(testContext(folder, stop.signal));
      await using load = await connector.destination!.openLoad(target({ key: "locked", table: "locked" }));
      const waiting = write(load, [column("id", INT)], [{ id: 2 }]).catch((error: unknown) => error);
      setTimeout(() => stop.abort(reason), 200);
      expect(await waiting).toBe(reason);
    } finally {
      await holder.end();
    }
  });

  it("a deadlock can be tried again", async () => {
    await run("create table dead (id int primary key, v int)", "insert into dead values (1, 0), (2, 0)");
    const other = await createConnection(address);
    try {
      await using connector = await make();
      await other.query("start transaction");
      await other.query("update dead set v = 1 where id = 2");
      await using load = await connector.destination!.openLoad(target({ key: "dead", table: "dead", mode: "merge", keyColumns: ["id"] }));
      await load.begin(null);
      await load.write(fromRows([column("id", INT), column("v", INT)], [{ id: 1, v: 9 }], { position: 1 }));
      await load.commit(1);
      await load.write(
        fromRows(
          [column("id", INT), column("v", INT)],
          [
            { id: 1, v: 9 },
            { id: 2, v: 9 },
          ],
          { position: 2 },
        ),
      );
      const committing = load.commit(2).then(
        () => undefined,
        (error: unknown) => error,
      );
      // Other tests have waits of their own on this server. Its view is a cache that is made anew only where nobody has looked for 100 ms.
      const waits = `select count(*) as n from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and trx_query like '%"dead"%'`;
      const isWaiting = async (): Promise<string | undefined> => (await run(waits))[0]?.["n"] ?? undefined;
      await expect.poll(isWaiting, { timeout: 45_000, interval: 300 }).not.toBe("0");
      const theirs = await other.query("update dead set v = 1 where id = 1").then(
        () => undefined,
        (error: unknown) => error as { readonly errno: number },
      );
      await other.query("rollback");
      const ours = await committing;
      // One of the two is the victim; which, the server decides.
      if (theirs === undefined) await expectCode(Promise.reject(ours as Error), "DESTINATION_UNAVAILABLE", "try again");
      else expect(theirs.errno).toBe(1213);
    } finally {
      await other.end();
    }
  });
});

describe("a server of its own", () => {
  it("with local_infile off and small packets takes INSERTs, and refuses a row that is too long", { timeout: 240_000 }, async () => {
    const dir = path.join(folder, "own-server");
    mkdirSync(dir, { recursive: true });
    const settings = { "local-infile": "0", "max-allowed-packet": "1M" };
    const server = await startMysql({
      dir,
      say: () => undefined,
      binlog: false,
      settings,
      env: { ...process.env, DOWNBEAT_TEST_MYSQL_URL: "" },
    });
    const { host, port, user, password } = server.address;
    const ask = async (sql: string): Promise<readonly RowDataPacket[]> => {
      const connection = await createConnection({ host, port, user, password });
      try {
        return (await connection.query<RowDataPacket[]>(sql))[0];
      } finally {
        await connection.end();
      }
    };
    const filesLoaded = async (): Promise<number> => Number((await ask("show global status like 'Com_load'"))[0]?.["Value"]);
    try {
      await ask("create database w");
      const open = (): Promise<Connector> => openConnector(mysql, { host, port, user, password, database: "w" }, testContext(folder));
      const columns = [column("id", INT), column("s", TEXT)];
      const rows = Array.from({ length: 3_000 }, (_, id) => ({ id, s: "é".repeat(id % 1_000) }));
      const load = async (table: string, given: readonly Row[]): Promise<void> => {
        await using connector = await open();
        await using opened = await connector.destination!.openLoad(target({ key: table, table }));
        await write(opened, columns, given);
      };
      const sum = "count(*) as n, cast(sum(length(s)) as char) as bytes";
      const whole = [{ n: 3_000, bytes: String(3 * 999 * 1_000) }];
      await load("by_inserts", rows);
      expect(await ask(`select ${sum} from w.by_inserts`)).toEqual(whole);
      expect(await filesLoaded()).toBe(0);
      await expectCode(
        load("too_long", [{ id: 1, s: "x".repeat(1_100_000) }]),
        "DESTINATION_DATA_REFUSED",
        "max_allowed_packet",
        "1048576",
      );
      await ask("set global local_infile = 1");
      await load("by_file", rows);
      expect(await ask(`select ${sum} from w.by_file`)).toEqual(whole);
      expect(await filesLoaded()).toBeGreaterThan(0);
      await load("long_by_file", [{ id: 1, s: "x".repeat(1_100_000) }]);

      await using connector = await open();
      const into = target({ key: "killed", table: "killed" });
      {
        await using opened = await connector.destination!.openLoad(into);
        await opened.begin(null);
        await opened.write(fromRows(columns, rows, { position: 1 }));
        await opened.commit(1);
        await opened.write(fromRows(columns, rows, { position: 2 }));
        await server.halt("SIGKILL");
        await expectCode(opened.commit(2), "DESTINATION_UNAVAILABLE");
      }
      await expectCode(connector.destination!.openLoad(into), "DESTINATION_UNAVAILABLE", String(port));
      await server.resume();
      {
        await using opened = await connector.destination!.openLoad(into);
        expect(opened.resume).toMatchObject({ position: 1, rows: 3_000 });
        await opened.write(fromRows(columns, rows.slice(0, 10), { position: 2 }));
        await opened.commit(2);
        await opened.finish();
      }
      expect(await ask("select count(*) as n from w.killed")).toEqual([{ n: 3_010 }]);
    } finally {
      await server.stop();
    }
  });
});
