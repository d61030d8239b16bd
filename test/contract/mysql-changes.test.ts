// Changes of a MySQL table by the binary log: rows first, then what has changed, on a live server.

import { describe, expect, it } from "vitest";
import type { Connector, StreamRequest } from "../../connectors/connector.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { load, make, numbers, run } from "./mysql-kit.ts";
import { typesTable } from "./mysql-types.ts";
import { expectCode } from "./sql-roles.ts";

type Row = Readonly<Record<string, Json>>;

/** What a destination makes of a stream of changes, by the column `id`; each `next` is a run of its own. */
class Replica {
  readonly rows = new Map<Json, Row>();
  readonly rejects: string[] = [];
  position: Json = null;
  readonly #stream: string;
  readonly #given: Partial<StreamRequest>;

  constructor(stream: string, given: Partial<StreamRequest> = {}) {
    this.#stream = stream;
    this.#given = given;
  }

  /** Answers how many changes came. */
  async next(connector: Connector, given: Partial<StreamRequest> = {}): Promise<number> {
    const options = { changes: true, ...this.#given.options };
    const batches = await load(connector, { ...this.#given, stream: this.#stream, position: this.position, ...given, options });
    for (const batch of batches) {
      for (const [row, values] of toRows(batch).entries()) {
        if (batch.deleted?.[row] === 1) this.rows.delete(values["id"] ?? null);
        else this.rows.set(values["id"] ?? null, values);
      }
      this.rejects.push(...(batch.rejects ?? []).map(({ where, reason }) => `${where}: ${reason}`));
      this.position = batch.position ?? this.position;
    }
    return batches.reduce((sum, batch) => sum + batch.rows, 0);
  }

  get all(): readonly Row[] {
    return [...this.rows.values()].toSorted((left, right) => Number(left["id"]) - Number(right["id"]));
  }
}

const rowsNow = async (connector: Connector, stream: string): Promise<readonly Row[]> =>
  (await load(connector, { stream })).flatMap(toRows);

describe("changes of a MySQL table", () => {
  it("are inserts, updates, deletions and moved keys, each once", async () => {
    await run("create table moves (id int primary key, v varchar(20))", "insert into moves values (1, 'a'), (2, 'b'), (3, 'c')");
    await using connector = await make();
    const replica = new Replica("moves");
    expect(await replica.next(connector)).toBe(3);
    expect(await replica.next(connector)).toBe(0);
    await run(
      "insert into moves values (4, 'd'), (5, null)",
      "update moves set v = concat(v, v) where id in (1, 4)",
      "delete from moves where id = 2",
      "update moves set id = 30 where id = 3",
      "create table others (id int primary key)",
      "insert into others values (1), (2)",
    );
    expect(await replica.next(connector)).toBe(7);
    expect(replica.all).toEqual(await rowsNow(connector, "moves"));
    expect(await replica.next(connector)).toBe(0);
  });

  it("come of every type as queries give it", async () => {
    const { create, inserts } = typesTable("typed");
    await run(create);
    await using connector = await make();
    const replica = new Replica("typed");
    await replica.next(connector);
    await run(...inserts);
    await replica.next(connector);
    const rows = await rowsNow(connector, "typed");
    expect(rows.length).toBeGreaterThan(3);
    for (const [place, row] of rows.entries()) expect(replica.all[place]).toEqual(row);
  });

  it("come in the same logical types as rows do, so that tables need not change", async () => {
    const { create } = typesTable("shapes");
    await run(create, "insert into shapes (id) values (1)");
    await using connector = await make();
    const [rows] = await load(connector, { stream: "shapes", options: { changes: true } });
    await run("insert into shapes (id) values (2)");
    const [changes] = await load(connector, { stream: "shapes", options: { changes: true }, position: rows!.position });
    const typesOf = (batch = rows!): Json => batch.schema.columns.map(({ name, type }) => ({ name, ...type }) as Json);
    expect(typesOf(changes)).toEqual(typesOf());
  });

  it("MariaDB's own types: uuid comes, addresses are refused with what to do", async ({ skip }) => {
    const [row] = await run("select version() as version");
    if (!/mariadb/i.test(String(row?.["version"]))) skip("the server is MySQL, which has none of them");
    await run("create table uuids (id int primary key, t varchar(9) character set latin1, u uuid, v text)");
    await using connector = await make();
    const replica = new Replica("uuids");
    await replica.next(connector);
    await run(
      "insert into uuids values (1, 'é', '123e4567-e89b-12d3-a456-426655440000', 'ü'), (2, null, '00000000-0000-0000-0000-000000000000', ''), (3, 'a', uuid(), 'ö')",
    );
    await replica.next(connector);
    expect(replica.all).toEqual(await rowsNow(connector, "uuids"));
    await run("create table addresses (id int primary key, a inet6)");
    const addresses = new Replica("addresses");
    await addresses.next(connector);
    await run("insert into addresses values (1, '::1')");
    await expectCode(addresses.next(connector), "SOURCE_TYPE_UNSUPPORTED", '"a"', "from.columns");
  });

  it("leave out columns that are not asked for", async () => {
    await run("create table narrow (id int primary key, v int, secret text, spot point)");
    await using connector = await make();
    const replica = new Replica("narrow", { options: { columns: ["id", "v"] } });
    await replica.next(connector);
    await run("insert into narrow values (1, 2, 'x', point(1, 2))");
    await replica.next(connector);
    expect(replica.all).toEqual([{ id: 1, v: 2 }]);
  });

  it("follow the table's columns: added, dropped, renamed and widened ones", async () => {
    await run("create table altered (id int primary key, a int, b varchar(5))", "insert into altered values (1, 1, 'x')");
    await using connector = await make();
    const replica = new Replica("altered");
    await replica.next(connector);
    await run(
      "insert into altered values (2, 2, 'y')",
      "alter table altered add column c datetime(3) after a",
      "insert into altered values (3, 3, '2026-01-01 10:00:00.125', 'z')",
      "alter table altered drop column a, modify b bigint default 7, change c d date",
      "delete from altered where id = 1",
      "insert into altered values (4, '2026-01-02', 9000000000)",
    );
    const batches = await load(connector, { stream: "altered", options: { changes: true }, position: replica.position });
    const shapes = batches.map(({ schema }) => schema.columns.map(({ name, type }) => `${name} ${type.kind}`).join(", "));
    expect([...new Set(shapes)]).toEqual([
      "id int32, a int32, b string",
      "id int32, a int32, c timestamp, b string",
      "id int32, d date, b int64",
    ]);
    expect(batches.flatMap(toRows).at(-1)).toEqual({ id: 4, d: "2026-01-02", b: 9_000_000_000 });
  });

  it("of rows that change while they are read end as the table is", async () => {
    await run(
      "create table busy (id int primary key, v int not null, pad text)",
      `insert into busy select n, 0, repeat('x', 8000) from ${numbers(9_000)}`,
    );
    await using connector = await make();
    const replica = new Replica("busy");
    let change = 0;
    const bounds = await connector.source!.bounds!({ ...requestOf("busy"), position: null });
    for await (const batch of connector.source!.read({ ...requestOf("busy"), position: null, bounds })) {
      for (const [row, values] of toRows(batch).entries()) {
        if (batch.deleted?.[row] === 1) replica.rows.delete(values["id"] ?? null);
        else replica.rows.set(values["id"] ?? null, values);
      }
      replica.position = batch.position ?? replica.position;
      change += 1;
      // Of rows that were read and of such that were not.
      if (change < 5) {
        await run(
          `update busy set v = v + 1 where id % 1000 = ${change}`,
          `delete from busy where id % 1000 = ${change + 100}`,
          `update busy set id = -id where id % 1000 = ${change + 200}`,
        );
      }
    }
    expect(change).toBeGreaterThan(2);
    await replica.next(connector);
    expect(replica.all).toEqual(await rowsNow(connector, "busy"));
  });

  it("go on from any batch's place as if nothing had been in between, also within the rows", async () => {
    await run("create table parts (id int primary key, v text)", `insert into parts select n, repeat('x', 8000) from ${numbers(9_000)}`);
    await using connector = await make();
    const wanted = requestOf("parts");
    const bounds = await connector.source!.bounds!(wanted);
    await run("update parts set v = 'early' where id <= 10");
    const positions: Json[] = [];
    for await (const batch of connector.source!.read({ ...wanted, bounds })) if (batch.position !== null) positions.push(batch.position);
    expect(positions.length).toBeGreaterThan(2);
    await run("delete from parts where id between 11 and 500");
    const rows = new Map((await rowsNow(connector, "parts")).map((row) => [row["id"], row]));
    for (const position of [null, ...positions]) {
      const replica = new Replica("parts");
      replica.position = position;
      await replica.next(connector, { newRun: false, bounds });
      await replica.next(connector);
      // What came before the place is not here: only what is told behind it can be.
      for (const row of replica.all) expect(row).toEqual(rows.get(row["id"]));
      if (position === null) expect(replica.rows.size).toBe(rows.size);
    }
  });

  it("of one large transaction have no place to stop at within it", async () => {
    await run("create table bulky (id int primary key, v text)");
    await using connector = await make();
    const replica = new Replica("bulky");
    await replica.next(connector);
    await run(`insert into bulky select n, repeat('y', 8000) from ${numbers(12_000)}`);
    const batches = await load(connector, { stream: "bulky", options: { changes: true }, position: replica.position });
    // The last rows, and behind them the end of the log.
    expect(batches.slice(0, -2).map(({ position }) => position)).toEqual(batches.slice(2).map(() => null));
    expect(batches.length).toBeGreaterThan(2);
    expect(batches.at(-2)!.position).not.toBeNull();
    expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(12_000);
  });

  it("tell until when they are whole: within the log by its own times, at its end by when that was asked for", async () => {
    await run("create table told (id int primary key)");
    await using connector = await make();
    const replica = new Replica("told");
    await replica.next(connector);
    const logged = Date.UTC(2026, 0, 2) / 1_000;
    await run(`set timestamp = ${logged}`, "insert into told values (1)");
    const before = Date.now();
    const batches = await load(connector, { stream: "told", options: { changes: true }, position: replica.position });
    const [first, last] = [batches[0]?.asOf ?? 0, batches.at(-1)?.asOf ?? 0];
    expect(batches.length).toBe(2);
    // The server's clock may be another one.
    expect(Math.abs(first / 1_000 - logged)).toBeLessThan(3_600);
    expect(last).toBeGreaterThanOrEqual(before);
    expect(last).toBeLessThanOrEqual(Date.now());
  });

  it("go on in the log's next files", async () => {
    await run("create table rotated (id int primary key)");
    await using connector = await make();
    const replica = new Replica("rotated");
    await replica.next(connector);
    await run(
      "insert into rotated values (1)",
      "flush binary logs",
      "insert into rotated values (2)",
      "flush binary logs",
      "flush binary logs",
    );
    expect(await replica.next(connector)).toBe(2);
    await run("insert into rotated values (3)");
    expect(await replica.next(connector)).toBe(1);
    expect(replica.all).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("are read from a compressed log, too", async ({ skip }) => {
    await run("create table compressed (id int primary key, v text)");
    await using connector = await make();
    const replica = new Replica("compressed");
    await replica.next(connector);
    const [row] = await run("select version() as version");
    if (!/mariadb/i.test(String(row?.["version"]))) skip("MySQL compresses whole transactions, which is refused");
    await run(
      "set global log_bin_compress = ON",
      "set session binlog_format = ROW",
      `insert into compressed select n, repeat('z', 500) from ${numbers(100)}`,
      "update compressed set v = 'short' where id = 1",
      "delete from compressed where id = 2",
      "set global log_bin_compress = OFF",
    );
    await replica.next(connector);
    expect(replica.all).toEqual(await rowsNow(connector, "compressed"));
  });

  it("dates that are none fail, become NULL or dead letters, as asked", async () => {
    await run("create table undated (id int primary key, d date, t datetime(3))");
    await using connector = await make();
    const start = new Replica("undated");
    await start.next(connector);
    await run("insert into undated values (1, '0000-00-00', null), (2, '2026-01-01', '2026-00-01 00:00:00'), (3, '2026-01-01', null)");
    const follow = async (zeroDates: string): Promise<Replica> => {
      const replica = new Replica("undated", { options: { zero_dates: zeroDates } });
      replica.position = start.position;
      await replica.next(connector);
      return replica;
    };
    await expectCode(follow("fail"), "SOURCE_DATA_INVALID", 'column "d"', "zero_dates");
    expect((await follow("null")).all).toEqual([
      { id: 1, d: null, t: null },
      { id: 2, d: "2026-01-01", t: null },
      { id: 3, d: "2026-01-01", t: null },
    ]);
    const diverted = await follow("dead_letter");
    expect(diverted.all).toEqual([{ id: 3, d: "2026-01-01", t: null }]);
    expect(diverted.rejects).toEqual([expect.stringContaining('column "d"'), expect.stringContaining('column "t"')]);
  });
});

const requestOf = (stream: string): StreamRequest => ({
  stream,
  options: { changes: true, tinyint1: "int", zero_dates: "fail" },
  nullCursor: "fail",
  newRun: true,
  position: null,
  bounds: null,
  seen: () => Promise.resolve(new Set()),
});

describe("changes that cannot be followed", () => {
  it("a table without key, a view, a query and a cursor are refused", async () => {
    await run("create table keyless (v int)");
    await using connector = await make();
    const follow = (given: Partial<StreamRequest>) => load(connector, { stream: "keyless", ...given, options: { changes: true } });
    await expectCode(follow({}), "SOURCE_OPTIONS_INVALID", "primary key");
    await expectCode(follow({ query: "select 1" }), "SOURCE_OPTIONS_INVALID", "query");
    await expectCode(follow({ cursor: "v" }), "CURSOR_INVALID", "cursor");
  });

  it("rows that went without being logged end the load", async () => {
    await run("create table emptied (id int primary key)", "insert into emptied values (1)");
    await using connector = await make();
    const replica = new Replica("emptied");
    await replica.next(connector);
    await run("truncate table emptied");
    await expectCode(replica.next(connector), "SOURCE_LOG_LOST", "truncate table emptied");
  });

  it("changes that a session has logged as statements end the load", async () => {
    await run("create table stated (id int primary key, v int)", "insert into stated values (1, 1)");
    await using connector = await make();
    const replica = new Replica("stated");
    await replica.next(connector);
    await run("set session binlog_format = STATEMENT", "update stated set v = 2");
    await expectCode(replica.next(connector), "SOURCE_LOG_UNUSABLE", "binlog_format = ROW", "update stated");
  });

  it("a log that is gone, another server's and a later one's are told apart from an empty one", async () => {
    await run("create table purged (id int primary key)", "insert into purged values (1)");
    await using connector = await make();
    const replica = new Replica("purged");
    await replica.next(connector);
    const { server, log } = replica.position as { readonly server: string; readonly log: { readonly file: string } };
    const at = (position: Json): Promise<unknown> => load(connector, { stream: "purged", options: { changes: true }, position });
    await expectCode(
      at({ server, log: { file: log.file.replace(/\d+$/, "000000"), offset: 4 } }),
      "SOURCE_LOG_LOST",
      "start the load anew",
    );
    await expectCode(at({ server: "another", log: { file: log.file, offset: 4 } }), "SOURCE_LOG_LOST", "another", "GTIDs");
    await expectCode(at({ values: ["1"] }), "CURSOR_INVALID", "cursor");
    await expectCode(load(connector, { stream: "purged", position: replica.position }), "CURSOR_INVALID", "followed its changes");
  });

  it("a user without the right to read the log is told which right it is", async () => {
    await run(
      "create table guarded (id int primary key)",
      "create user if not exists changes_reader identified by 'secret'",
      "grant select on guarded to changes_reader",
    );
    await using connector = await make(undefined, { user: "changes_reader", password: "secret" });
    await expectCode(load(connector, { stream: "guarded", options: { changes: true } }), "SOURCE_AUTH", "privilege");
    await run("grant replication slave, replication client on *.* to changes_reader", "insert into guarded values (1)");
    await using allowed = await make(undefined, { user: "changes_reader", password: "secret" });
    const replica = new Replica("guarded");
    await replica.next(allowed);
    await run("insert into guarded values (2)");
    await replica.next(allowed);
    expect(replica.all).toEqual([{ id: 1 }, { id: 2 }]);
  });
});
