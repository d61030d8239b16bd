// MySQL as a system that runs SQL: a user's own statements and queries.

import { describe, expect, it } from "vitest";
import { toRows } from "../../connectors/lib/rows.ts";
import type { Connector } from "../../connectors/connector.ts";
import type { Json } from "../../core/json.ts";
import { testContext } from "./kit.ts";
import { folder, make, numbers, run } from "./mysql-kit.ts";
import { batchesOf, expectCode, rowsOf } from "./sql-roles.ts";

type Row = Readonly<Record<string, Json>>;

const query = (connector: Connector, sql: string, params?: Row): Promise<readonly Row[]> => rowsOf(connector.sql!.query(sql, params));

describe("mysql as a warehouse that runs SQL", () => {
  it("runs several statements in one transaction", async () => {
    await using connector = await make();
    const sql = connector.sql!;
    await sql.execute("create table one (i int)");
    const { rowsAffected } = await sql.execute(
      `insert into one values (1), (2), (3); # a comment; with a semicolon
       -- another; one
       delete from one where i > 1; /* and; one more */`,
    );
    expect(rowsAffected).toBe(2);
    await expectCode(sql.execute("insert into one values (9); delete from no_such_table"), "SQL_FAILED", "no_such_table");
    expect(await query(connector, "select i from one")).toEqual([{ i: 1 }]);
    expect(await sql.execute("select 1")).toEqual({ rowsAffected: null });
  });

  it("binds parameters of every kind, and nothing else", async () => {
    await using connector = await make();
    const params = { a: "it's \\; drop table x --", n: 21, d: 0.5, yes: true, gone: null, list: [1, "x"], big: -9007199254740991 };
    expect(
      await query(
        connector,
        `select :a as a, :n + :n as n, :d * 2 as d, :yes + 0 as yes, :gone as gone, :list as list, :big as big, ':a' as quoted, "it\\'s :a" as text, 'x\\' :a' as slash,
           /* :a */ 1 as \`:a\` -- :a
           # :a`,
        params,
      ),
    ).toEqual([
      {
        a: params.a,
        n: 42,
        d: 1,
        yes: 1,
        gone: null,
        list: '[1,"x"]',
        big: params.big,
        quoted: ":a",
        text: "it's :a",
        slash: "x' :a",
        ":a": 1,
      },
    ]);
    expect(await query(connector, `select n from ${numbers(9)} order by n limit :count`, { count: 2 })).toEqual([{ n: 1 }, { n: 2 }]);
    await connector.sql!.execute("create table bound (a varchar(50), n int); set @x := 1");
    expect(await connector.sql!.execute("insert into bound values (:a, :n), (:gone, :gone)", params)).toEqual({ rowsAffected: 2 });
    expect(await query(connector, "select a, n from bound where a <=> :a", params)).toEqual([{ a: params.a, n: 21 }]);
    await expectCode(query(connector, "select :missing", { other: 1 }), "SQL_FAILED", ":missing", "other");
  });

  it("keeps an empty result's columns, and says what is no query", async () => {
    await using connector = await make();
    const [batch, ...more] = await batchesOf(connector.sql!.query("select cast(null as date) as a, 'x' as b from dual where 1 = 0"));
    expect(more).toEqual([]);
    expect(batch?.rows).toBe(0);
    expect(batch?.schema.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual(["a date", "b string"]);
    await expectCode(query(connector, "select 1; select 2"), "SQL_FAILED", "one statement");
    await expectCode(query(connector, "selec 1"), "SQL_FAILED", "syntax");
    await expectCode(query(connector, "set @x = 1"), "SQL_FAILED", "rows");
    expect(await query(connector, "select 1 as one; # that is all")).toEqual([{ one: 1 }]);
  });

  it("streams a result in order, and an ended reader ends the query", async () => {
    await run("create table many (i int primary key)", `insert into many select n from ${numbers(250_000)}`);
    await using connector = await make();
    const sql = "select i, concat('row ', i) as t from many order by i desc";
    let expected = 250_000;
    for await (const batch of connector.sql!.query(sql)) {
      for (const row of toRows(batch)) {
        if (row["i"] !== expected || row["t"] !== `row ${expected}`) throw new Error(`row ${expected} is ${JSON.stringify(row)}`);
        expected -= 1;
      }
    }
    expect(expected).toBe(0);
    for await (const batch of connector.sql!.query(sql)) {
      expect(batch.rows).toBeGreaterThan(0);
      break;
    }
    expect(await query(connector, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("quotes names so that checks can use them", async () => {
    await using connector = await make();
    const { quote } = connector.sql!;
    expect(quote("raw.orders")).toBe("`raw`.`orders`");
    expect(quote("say `hi`; drop")).toBe("`say ``hi``; drop`");
    await run("create table `odd ``one` (`a b` int)", "insert into `odd ``one` values (1), (1), (null)");
    const relation = quote('"odd `one"');
    expect(await query(connector, `select count(*) as n from ${relation} where ${quote("a b")} is null`)).toEqual([{ n: 1 }]);
    expect(
      await query(
        connector,
        `select count(*) as n from (select 1 as one from ${relation} group by ${quote("a b")} having count(*) > 1) as doubled`,
      ),
    ).toEqual([{ n: 1 }]);
  });

  it("is strict, whatever the server's mode", async () => {
    await using connector = await make();
    await connector.sql!.execute("create table strict (v varchar(3), d date, id int auto_increment primary key)");
    await expectCode(connector.sql!.execute("insert into strict (v) values ('secret')"), "SQL_FAILED", "too long");
    await expectCode(connector.sql!.execute("insert into strict (d) values ('2026-00-00')"), "SQL_FAILED", "date");
    await connector.sql!.execute("insert into strict (id) values (0)");
    expect(await query(connector, "select id from strict")).toEqual([{ id: 0 }]);
  });

  it("stops soon when the signal says so, and the server's statement with it", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using connector = await make(testContext(folder, stop.signal));
    const marker = `stop${process.pid}`;
    const long = connector.sql!.execute(`do /* ${marker} */ sleep(600)`);
    long.catch(() => undefined);
    const running = async (): Promise<number> =>
      (await run(`select id from information_schema.processlist where info like '%${marker}%' and info not like '%processlist%'`)).length;
    await expect.poll(running, { timeout: 60_000 }).toBe(1);
    stop.abort(reason);
    await expect(long).rejects.toBe(reason);
    await expect.poll(running, { timeout: 60_000 }).toBe(0);
  });
});
