// BigQuery as a SQL warehouse, on the emulator.

import { describe, expect, it } from "vitest";
import { bigquery } from "../../connectors/bigquery/spec.ts";
import { freshBigqueryProject } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";
import { batchesOf, expectCode, expectInOrder, numbersUpTo, rowsOf } from "./sql-roles.ts";

const folder = testFolder("bigquery-sql");
const config = freshBigqueryProject();
const make = (): ReturnType<typeof openConnector> => openConnector(bigquery, config, testContext(folder));

describe("BigQuery as a SQL warehouse", () => {
  it("runs several statements in one transaction, and tells the rows of the last one", async () => {
    await using connector = await make();
    await connector.sql!.execute("create schema if not exists shop");
    await connector.sql!.execute("create table shop.one (i int64)");
    expect(await connector.sql!.execute("insert into shop.one values (7)")).toEqual({ rowsAffected: 1 });
    const { rowsAffected } = await connector.sql!.execute(
      `insert into shop.one values (1), (2), (3); -- a comment; with a semicolon
       delete from shop.one where i > :least; # and another one; here`,
      { least: 1 },
    );
    expect(rowsAffected).toBe(3);
    await expectCode(
      connector.sql!.execute("insert into shop.one values (9); select * from shop.no_such_table"),
      "SQL_FAILED",
      "no_such_table",
    );
    await expectCode(
      connector.sql!.execute("insert into shop.one values (9); create table shop.two (i int64)"),
      "SQL_FAILED",
      "transaction",
    );
    expect(await rowsOf(connector.sql!.query("select i from shop.one"))).toEqual([{ i: 1 }]);
  });

  it("binds parameters and nothing else", async () => {
    await using connector = await make();
    const sql = String.raw`select cast(:a as string) as a, :n + :n as n, ':a' as quoted, "it's \" :a" as doubled, 'it\'s :a' as escaped, ''':a' ''' as triple,
      cast(:gone as date) as gone, :yes and true as yes /* :a */ -- :a
      # :a`;
    const read = await rowsOf(connector.sql!.query(sql, { a: "it's; drop table x --", n: 21, gone: null, yes: true }));
    expect(read).toEqual([
      { a: "it's; drop table x --", n: 42, quoted: ":a", doubled: `it's " :a`, escaped: "it's :a", triple: ":a' ", gone: null, yes: true },
    ]);
    await expectCode(rowsOf(connector.sql!.query("select :missing", { other: 1 })), "SQL_FAILED", ":missing", "other");
    await expectCode(rowsOf(connector.sql!.query("select 1; select 2")), "SQL_FAILED", "one statement");
    await expectCode(rowsOf(connector.sql!.query("selec 1")), "SQL_FAILED");
  });

  it("gives values of every type exactly, also those of an empty result", async () => {
    await using connector = await make();
    const columns =
      "n int64, w bignumeric(38, 4), m numeric(10, 2), f float64, b bool, d date, t time, ts datetime, tz timestamp, v json, y bytes, s string";
    await connector.sql!.execute("create schema if not exists kinds");
    await connector.sql!.execute(`create table kinds.kinds (${columns})`);
    await connector.sql!.execute(
      `insert into kinds.kinds select 9223372036854775807, cast('1234567890123456789012345678901234.5678' as bignumeric), numeric '12.5', 0.1, true, date '2024-02-29',
       time '23:59:59.123456', datetime '2026-01-01 00:00:00.000001', timestamp '1969-07-01 12:00:00.5+02:00', json '{"a": [1, null]}', b'abc', 'Größe 🎼'`,
    );
    const query = "select * from kinds.kinds";
    const [row] = await rowsOf(connector.sql!.query(query));
    expect(row).toEqual({
      n: "9223372036854775807",
      w: "1234567890123456789012345678901234.5678",
      m: "12.50",
      f: 0.1,
      b: true,
      d: "2024-02-29",
      t: "23:59:59.123456",
      ts: "2026-01-01T00:00:00.000001",
      tz: "1969-07-01T10:00:00.500000Z",
      v: { a: [1, null] },
      y: Buffer.from("abc").toString("base64"),
      s: "Größe 🎼",
    });
    const [empty] = await batchesOf(connector.sql!.query(`${query} where 1 = 0`));
    expect(empty!.rows).toBe(0);
    expect(empty!.schema.columns.map(({ type }) => type.kind)).toEqual(
      "int64 decimal decimal float64 bool date time timestamp timestamptz json binary string".split(" "),
    );
  });

  it("streams a large result in order, and ends with its reader", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "numbers", table: "numbers" }));
    await write(load, [column("i", { kind: "int64" })], numbersUpTo(25_000));
    expect(await expectInOrder(connector, "numbers", 25_000)).toEqual([10_000, 10_000, 5_000]);
    expect(connector.sql!.quote("raw.orders")).toBe("`raw`.`orders`");
    expect(connector.sql!.quote("tick`s")).toBe("`tick\\`s`");
  });
});
