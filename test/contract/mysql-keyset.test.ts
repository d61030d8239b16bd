// MySQL read in pieces: from every position exactly the rest follows, also among equal values, NULLs and odd names.

import { describe, expect, it } from "vitest";
import type { Batch } from "../../connectors/batch.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { BATCH_ROWS } from "../../connectors/lib/batch-builder.ts";
import { testContext } from "./kit.ts";
import { folder, load, make, numbers, run } from "./mysql-kit.ts";
import { expectCode } from "./sql-roles.ts";

const ROWS = 2 * BATCH_ROWS + 5_000;

const idsOf = (batches: readonly Batch[], name = "id"): readonly number[] => {
  const ids: number[] = [];
  for (const batch of batches) {
    const place = batch.schema.columns.findIndex((column) => column.name === name);
    const { data } = batch.columns[place]!;
    for (const id of new Int32Array(data.buffer, data.byteOffset, batch.rows)) ids.push(id);
  }
  return ids;
};

/** Reads once, then again behind each position; every row must come exactly once each time. */
const resumesEverywhere = async (given: Partial<StreamRequest>, minPositions: number): Promise<readonly Batch[]> => {
  await using connector = await make();
  const batches = await load(connector, given);
  const all = idsOf(batches);
  expect(new Set(all).size).toBe(all.length);
  let before = 0;
  let positions = 0;
  for (const { rows, position } of batches) {
    before += rows;
    if (position === null) continue;
    positions += 1;
    const rest = idsOf(await load(connector, { ...given, position, newRun: false }));
    // Among equal keys the order is the server's to choose.
    const expected = new Set(all.slice(before));
    expect(rest.length).toBe(expected.size);
    expect(rest.every((id) => expected.has(id))).toBe(true);
  }
  expect(positions).toBeGreaterThanOrEqual(minPositions);
  expect(batches.at(-1)!.position).not.toBeNull();
  return batches;
};

await run(
  "create table big (id int primary key, at datetime(3) not null, many int not null, few int not null, code varchar(20) character set utf8mb4 collate utf8mb4_general_ci not null, kind enum('zebra', 'ape') not null, key (at, id)) character set utf8mb4",
  `insert into big select n, timestamp '2026-01-01 00:00:00' + interval n div 7 second, n div 5, n div 150000, concat(if(n % 2 = 0, 'code ', 'CODE '), n div 4), 1 + n % 2 from ${numbers(ROWS)}`,
);

describe("keysets of MySQL", () => {
  it("a whole table goes on behind its primary key, in batches of equal size", async () => {
    const batches = await resumesEverywhere({ stream: "big" }, 3);
    expect(batches.map(({ rows }) => rows)).toEqual([BATCH_ROWS, BATCH_ROWS, ROWS - 2 * BATCH_ROWS]);
  });

  it("equal cursor values across the border of batches are told apart by the primary key", async () => {
    await resumesEverywhere({ stream: "big", cursor: "at" }, 3);
    await resumesEverywhere({ stream: "big", cursor: "few" }, 3);
  });

  it("an enum as cursor is compared as it is ordered", async () => {
    await resumesEverywhere({ stream: "big", cursor: "kind" }, 3);
  });

  it("columns that are left out still say where to go on", async () => {
    const batches = await resumesEverywhere({ stream: "big", cursor: "at", options: { columns: ["id", "few"] } }, 3);
    expect(batches[0]!.schema.columns.map(({ name }) => name)).toEqual(["id", "few"]);
    expect(batches[0]!.columns.length).toBe(2);
  });

  it("a condition chooses rows before they are read", async () => {
    const options = { columns: ["id", "few"], where: "many % 2 = 0 -- every other five" };
    const batches = await resumesEverywhere({ stream: "big", cursor: "at", options }, 2);
    expect(idsOf(batches)).toHaveLength(
      Array.from({ length: ROWS }, (_, index) => index + 1).filter((id) => Math.floor(id / 5) % 2 === 0).length,
    );
    await using connector = await make();
    const first = { stream: "big", cursor: "at", options: { where: "id <= 3 or kind = 'none'" } };
    const all = await load(connector, first);
    expect(idsOf(all)).toEqual([1, 2, 3]);
    expect(idsOf(await load(connector, { ...first, position: all.at(-1)!.position }))).toEqual([]);
  });

  it("a key that is not unique ends batches only where its values change", async () => {
    // Where no row is unique a batch takes what a packet of the network brought: how many there are depends on that.
    await resumesEverywhere({ stream: "big", key: ["many"] }, 2);
    // 150,000 equal values are more than a batch: no place to stop at in the midst of them.
    const batches = await resumesEverywhere({ stream: "big", key: ["few"] }, 2);
    expect(batches.some(({ position }) => position === null)).toBe(true);
  });

  it("texts that count as equal but differ in their bytes are not lost at a border", async () => {
    await resumesEverywhere({ stream: "query", query: "select id, code from big", key: ["code"] }, 2);
  });

  it("a query without key comes as it is, in one piece", async () => {
    await using connector = await make();
    const batches = await load(connector, {
      stream: "q",
      query: "select id, 1 as one, 2 as one from big where id <= 10 order by id desc;",
    });
    expect(idsOf(batches)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(batches.map(({ position }) => position)).toEqual([null]);
  });

  it.each([
    ["bigint", ["-9223372036854775808", "9007199254740992", "9007199254740993", "9223372036854775807"]],
    ["bigint unsigned", ["0", "9223372036854775808", "18446744073709551614", "18446744073709551615"]],
    ["decimal(30, 10)", ["-1.0000000001", "12345678901234567890.0000000001", "12345678901234567890.0000000002"]],
    ["double", ["-1.5e300", "0.1", "0.30000000000000004", "1e300"]],
    ["float", ["-1.1", "0.1", "16777216"]],
    ["date", ["'0001-01-01'", "'1969-12-31'", "'9999-12-31'"]],
    ["datetime(6)", ["'1000-01-01 00:00:00'", "'2026-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"]],
    ["timestamp(6)", ["'1970-01-01 00:00:01'", "'2026-01-01 00:00:00.000001'", "'2026-01-01 00:00:00.000002'"]],
    ["time(6)", ["'-838:59:59'", "'-00:00:00.000001'", "'838:59:59'"]],
    ["year", ["1901", "2155"]],
    ["bit(1)", ["b'0'", "b'1'"]],
    ["bit(64)", ["b'1'", `b'${"1".repeat(64)}'`]],
    ["varchar(20)", ["''", "'a'", "'it''s'", "'ß'", "'表'"]],
    ["varbinary(20)", ["x''", "x'00'", "x'0001'", "x'ff'"]],
  ])("goes on behind each value of a cursor of %s", async (sql, values) => {
    const table = `t_${sql.replaceAll(/\W/g, "_")}`;
    await run(
      `create table ${table} (id int primary key, c ${sql} not null) character set utf8mb4`,
      `insert into ${table} values ${values.map((value, index) => `(${index}, ${value})`).join(", ")}`,
    );
    await using connector = await make();
    const ordered = (await run(`select id from ${table} order by c`)).map((row) => Number(row["id"]));
    for (const [index, id] of ordered.entries()) {
      // A position is taken from a reading that ends there.
      const [upTo] = await load(connector, {
        stream: "q",
        query: `select * from ${table} where id in (${ordered.slice(0, index + 1).join(", ")})`,
        cursor: "c",
        key: ["id"],
      });
      expect(upTo!.position).toMatchObject({ values: [expect.any(String), String(id)] });
      expect(idsOf(await load(connector, { stream: table, cursor: "c", position: upTo!.position }))).toEqual(ordered.slice(index + 1));
    }
  });

  it("rows behind the bounds wait for the next run, which brings them once", async () => {
    await run("create table grows (id int primary key, c bigint)", "insert into grows values (1, 10), (2, 20)");
    await using connector = await make();
    const asked = {
      stream: "grows",
      cursor: "c",
      options: {},
      nullCursor: "fail",
      newRun: true,
      position: null,
      seen: () => Promise.resolve(new Set<string>()),
    } as const;
    const bounds = await connector.source!.bounds!(asked);
    await run("insert into grows values (3, 30), (4, 15)");
    const first = await load(connector, { ...asked, bounds });
    expect(idsOf(first)).toEqual([1, 4, 2]);
    expect(idsOf(await load(connector, { ...asked, position: first.at(-1)!.position }))).toEqual([3]);
  });

  it("a look back takes rows again, in a new run only", async () => {
    await run(
      "create table late (id int primary key, at datetime not null)",
      `insert into late select n, timestamp '2026-01-01 00:00:00' + interval n minute from ${numbers(100)}`,
    );
    await using connector = await make();
    const position = { values: ["2026-01-01 01:00:00", "60"] };
    const asked = { stream: "late", cursor: "at", lookbackMs: 10 * 60_000, position };
    expect(idsOf(await load(connector, { ...asked, newRun: true }))[0]).toBe(50);
    expect(idsOf(await load(connector, { ...asked, newRun: false }))[0]).toBe(61);
    await expectCode(
      load(connector, { stream: "big", cursor: "few", lookbackMs: 1_000, position: { values: ["1", "1"] } }),
      "CURSOR_INVALID",
      "lookback",
    );
  });

  it("NULL in the cursor fails with the number of rows, or makes dead letters of them once a run", async () => {
    await run("create table gaps (id int primary key, c int)", "insert into gaps values (1, null), (2, 7), (3, null), (4, 5)");
    await using connector = await make();
    await expectCode(load(connector, { stream: "gaps", cursor: "c" }), "CURSOR_NULL", "2 rows", "null_cursor");
    const batches = await load(connector, { stream: "gaps", cursor: "c", nullCursor: "dead_letter" });
    expect(idsOf(batches.filter(({ rows }) => rows > 0))).toEqual([4, 2]);
    expect(batches.flatMap((batch) => batch.rejects ?? []).map(({ code, raw }) => [code, raw])).toEqual([
      ["CURSOR_NULL", '{"id":"1","c":null}'],
      ["CURSOR_NULL", '{"id":"3","c":null}'],
    ]);
    const resumed = await load(connector, {
      stream: "gaps",
      cursor: "c",
      nullCursor: "dead_letter",
      newRun: false,
      position: { values: ["5", "4"] },
    });
    expect(idsOf(resumed)).toEqual([2]);
    expect(resumed.flatMap((batch) => batch.rejects ?? [])).toEqual([]);
  });

  it("a table whose cursors are all NULL, and one without rows, give the columns and nothing else", async () => {
    await run("create table hollow (id int primary key, c int)", "insert into hollow values (1, null)");
    await using connector = await make();
    const batches = await load(connector, { stream: "hollow", cursor: "c", nullCursor: "dead_letter" });
    expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(0);
    expect(batches.at(-1)!.schema.columns.map(({ name }) => name)).toEqual(["id", "c"]);
  });

  it("a NULL in a key that the task names is no place to go on behind", async () => {
    await run("create table keyless (a int, b int)", "insert into keyless values (1, null), (1, 2), (2, null)");
    await using connector = await make();
    await expectCode(load(connector, { stream: "keyless", cursor: "a", key: ["b"] }), "CURSOR_INVALID", "a or b");
    const batches = await load(connector, { stream: "keyless", key: ["b"] });
    expect(batches.flatMap(toRows).map((row) => [row["a"], row["b"]])).toEqual([
      [1, null],
      [2, null],
      [1, 2],
    ]);
  });

  it("a refused row comes with the batch behind whose end nobody meets it again", async () => {
    await run(
      "create table faulty (id int primary key, class int not null, day date, filler char(200) not null, key (class))",
      `insert into faulty select n, n div 10, if(n % 7 = 0, '0000-00-00', '2026-01-01'), repeat('x', 200) from ${numbers(6_000)}`,
    );
    const options = { zero_dates: "dead_letter" };
    for (const order of [{}, { key: ["class"] }]) {
      await using connector = await make({ ...testContext(folder), batchRows: 100 });
      const refusedIn = (batches: readonly Batch[]): readonly string[] =>
        batches.flatMap(({ rejects = [] }) => rejects.map(({ raw }) => raw)).toSorted();
      const batches = await load(connector, { stream: "faulty", ...order, options });
      const all = refusedIn(batches);
      expect(new Set(all).size).toBe(Math.floor(6_000 / 7));
      const between = [...batches.entries()].filter(([, { position }]) => position !== null).slice(0, -1);
      expect(between.length).toBeGreaterThan(2);
      for (const [index, { position }] of between) {
        const rest = await load(connector, { stream: "faulty", ...order, options, position, newRun: false });
        expect([...refusedIn(batches.slice(0, index + 1)), ...refusedIn(rest)].toSorted()).toEqual(all);
      }
    }
  });

  it("a reading sees one moment, whatever is written meanwhile", async () => {
    await run("create table moving (id int primary key, v int not null)", `insert into moving select n, 0 from ${numbers(ROWS)}`);
    await using connector = await make();
    const asked = {
      stream: "moving",
      options: {},
      nullCursor: "fail",
      newRun: true,
      position: null,
      bounds: null,
      seen: () => Promise.resolve(new Set<string>()),
    } as const;
    const batches: Batch[] = [];
    for await (const batch of connector.source!.read(asked)) {
      if (batches.length === 0) await run("update moving set v = 1", "delete from moving where id > 10");
      batches.push(batch);
    }
    expect(idsOf(batches).length).toBe(ROWS);
    expect(idsOf(batches, "v").every((value) => value === 0)).toBe(true);
  });

  it("quotes, dots, Unicode and reserved words in names", async () => {
    await run(
      'create table `we"ird.ta``ble 表` (`se``lect` int primary key, `or"der` varchar(10), `größe` int)',
      'insert into `we"ird.ta``ble 表` values (1, "a", 2), (3, "b", 4)',
    );
    await using connector = await make();
    const streams = await connector.source!.discover();
    const found = streams.find(({ name }) => name.includes("we"));
    expect(found).toMatchObject({ name: '"we""ird.ta`ble 表"', key: ["se`lect"] });
    const batches = await load(connector, { stream: found!.name, cursor: "größe", options: { columns: ['or"der', "se`lect"] } });
    expect(batches.flatMap(toRows)).toEqual([
      { 'or"der': "a", "se`lect": 1 },
      { 'or"der': "b", "se`lect": 3 },
    ]);
  });
});
