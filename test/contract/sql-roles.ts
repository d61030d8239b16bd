// What every SQL system does as a warehouse that runs SQL and as a source of tables; called by the tests of each.

import { describe, expect, it } from "vitest";
import type { Batch } from "../../connectors/batch.ts";
import type { Connector, StreamRequest } from "../../connectors/connector.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";

type Row = Readonly<Record<string, Json>>;

export const hasCode =
  (code: ErrorCode, ...mentioned: readonly string[]) =>
  (error: unknown): boolean => {
    expect(error).toBeInstanceOf(DownbeatError);
    const { code: got, message } = error as DownbeatError;
    expect({ code: got, message }).toMatchObject({ code });
    for (const text of mentioned) expect(message).toContain(text);
    return true;
  };

/** Asserts that it rejects with a code, and what its message mentions. */
export const expectCode = async (promise: Promise<unknown>, code: ErrorCode, ...mentioned: readonly string[]): Promise<void> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  hasCode(code, ...mentioned)(error);
};

export const batchesOf = async (batches: AsyncIterable<Batch>): Promise<readonly Batch[]> => {
  const all: Batch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
};

export const rowsOf = async (batches: AsyncIterable<Batch>): Promise<readonly Row[]> => (await batchesOf(batches)).flatMap(toRows);

export const request = (given: Partial<StreamRequest>): StreamRequest => ({
  stream: "t",
  options: {},
  nullCursor: "fail",
  newRun: true,
  position: null,
  bounds: null,
  seen: () => Promise.resolve(new Set()),
  ...given,
});

/** In systems whose literals know backslashes. `sum`: how 42 comes. */
export const expectBinds = async ({ sql }: Connector, sum: Json): Promise<void> => {
  const text = String.raw`select cast(:a as varchar) as a, cast(:n as int) + cast(:n as int) as n, ':a' as quoted, 'it\'s :a' as escaped, cast(:gone as varchar) as gone /* :a */ -- :a`;
  const read = await rowsOf(sql!.query(text, { a: "it's; drop table x --", n: 21, gone: null }));
  expect(read).toEqual([{ a: "it's; drop table x --", n: sum, quoted: ":a", escaped: "it's :a", gone: null }]);
  await expectCode(rowsOf(sql!.query("select :missing", { other: 1 })), "SQL_FAILED", ":missing", "other");
  await expectCode(rowsOf(sql!.query("select 1; select 2")), "SQL_FAILED", "one statement");
};

/** Rows of a column i, from 0 on. */
export const numbersUpTo = (count: number): readonly Row[] => Array.from({ length: count }, (_, i) => ({ i }));

/** `table` has such rows. Gives the numbers of rows that came at once. */
export const expectInOrder = async ({ sql }: Connector, table: string, count: number): Promise<readonly number[]> => {
  let next = 0;
  const sizes: number[] = [];
  for await (const batch of sql!.query(`select i from ${table} order by i`)) {
    sizes.push(batch.rows);
    for (const { i } of toRows(batch)) if (Number(i) !== next++) throw new Error(`row ${next - 1} is ${String(i)}`);
  }
  expect(next).toBe(count);
  for await (const batch of sql!.query(`select i from ${table}`)) {
    expect(batch.rows).toBeGreaterThan(0);
    break;
  }
  return sizes;
};

export const testSqlRoles = (title: string, make: () => Promise<Connector>): void => {
  const withConnector = async (run: (connector: Connector) => Promise<void>): Promise<void> => {
    await using connector = await make();
    await run(connector);
  };
  const execute = (connector: Connector, sql: string, params?: Row): Promise<{ readonly rowsAffected: number | null }> =>
    connector.sql!.execute(sql, params);
  const query = (connector: Connector, sql: string, params?: Row): Promise<readonly Row[]> => rowsOf(connector.sql!.query(sql, params));
  /** Fixes the bounds and reads, as the engine does. */
  const load = async (connector: Connector, given: Partial<StreamRequest>): Promise<readonly Batch[]> => {
    const wanted = request(given);
    const bounds = given.bounds === undefined ? await connector.source!.bounds!(wanted) : given.bounds;
    return batchesOf(connector.source!.read({ ...wanted, bounds }));
  };

  describe(`${title} as a SQL warehouse`, () => {
    it(`${title}: runs several statements in one transaction`, () =>
      withConnector(async (connector) => {
        const { rowsAffected } = await execute(
          connector,
          `create schema if not exists sqlrole; create table sqlrole.one (i int); -- a comment; with a semicolon
           insert into sqlrole.one values (1), (2), (3);
           delete from sqlrole.one where i > 1;`,
        );
        expect(rowsAffected).toBe(2);
        await expectCode(
          execute(connector, "insert into sqlrole.one values (9); select * from no_such_table"),
          "SQL_FAILED",
          "no_such_table",
        );
        expect(await query(connector, "select i from sqlrole.one")).toEqual([{ i: 1 }]);
      }));

    it(`${title}: binds parameters and nothing else`, () =>
      withConnector(async (connector) => {
        const rows = await query(
          connector,
          `select cast(:a as varchar) as a, cast(:n as int) + cast(:n as int) as n, ':a' as quoted, cast(:gone as varchar) as gone, /* :a */ 1 as ":a" -- :a`,
          { a: "it's; drop table x --", n: 21, gone: null },
        );
        expect(rows).toEqual([{ a: "it's; drop table x --", n: 42, quoted: ":a", gone: null, ":a": 1 }]);
        await expectCode(query(connector, "select :missing", { other: 1 }), "SQL_FAILED", ":missing", "other");
      }));

    it(`${title}: an empty result keeps its columns`, () =>
      withConnector(async (connector) => {
        const [batch, ...more] = await batchesOf(connector.sql!.query("select cast(1 as bigint) as a, 'x' as b where 1 = 0"));
        expect(more).toEqual([]);
        expect(batch?.rows).toBe(0);
        expect(batch?.schema.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual(["a int64", "b string"]);
      }));

    it(`${title}: streams a result in order, and an ended reader ends the query`, () =>
      withConnector(async (connector) => {
        const sql = "select i, 'row ' || i as t from generate_series(1, 250000) as s(i) order by i desc";
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
      }));

    it(`${title}: a query must be one statement`, () =>
      withConnector(async (connector) => {
        await expectCode(query(connector, "select 1; select 2"), "SQL_FAILED", "one statement");
        await expectCode(query(connector, "selec 1"), "SQL_FAILED");
        expect(await query(connector, "select 1 as one; -- that is all")).toEqual([{ one: 1 }]);
      }));

    it(`${title}: quotes names`, () =>
      withConnector((connector) => {
        expect(connector.sql!.quote("raw.orders")).toBe('"raw"."orders"');
        expect(connector.sql!.quote('say "hi"; drop')).toBe('"say ""hi""; drop"');
        return Promise.resolve();
      }));
  });

  describe(`${title} as a source`, () => {
    const seed = (connector: Connector, table: string): Promise<unknown> =>
      execute(
        connector,
        `create schema if not exists src;
         create table src.${table} (id int primary key, ts timestamp, name varchar);
         insert into src.${table} select i, timestamp '2026-01-01 00:00:00.000001' + cast(cast(floor(i / 7.0) as int) || ' seconds' as interval), 'row ' || i from generate_series(1, 100) as s(i)`,
      );
    const idsOf = (batches: readonly Batch[]): readonly Json[] => batches.flatMap(toRows).map((row) => row["id"] ?? null);
    const lastPosition = (batches: readonly Batch[]): Json => batches.at(-1)?.position ?? null;

    it(`${title}: discovers tables with columns and keys`, () =>
      withConnector(async (connector) => {
        await seed(connector, "discovered");
        const found = (await connector.source!.discover()).find(({ name }) => name === "src.discovered");
        expect(found?.key).toEqual(["id"]);
        expect(found?.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual(["id int32", "ts timestamp", "name string"]);
      }));

    it(`${title}: reads a whole table by its key and goes on from every place`, () =>
      withConnector(async (connector) => {
        await seed(connector, "whole");
        const all = await load(connector, { stream: "src.whole" });
        expect(idsOf(all)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
        const later = await load(connector, { stream: "src.whole", position: { values: ["37"] }, newRun: false });
        expect(idsOf(later)).toEqual(Array.from({ length: 63 }, (_, index) => index + 38));
        const ended = await load(connector, { stream: "src.whole", position: lastPosition(all), newRun: false });
        expect(ended.map(({ rows, position }) => ({ rows, position }))).toEqual([{ rows: 0, position: lastPosition(all) }]);
      }));

    it(`${title}: goes on among equal cursor values, and stops at its bounds`, () =>
      withConnector(async (connector) => {
        await seed(connector, "ties");
        const cursor = { stream: "src.ties", cursor: "ts" };
        const bounds = await connector.source!.bounds!(request(cursor));
        await execute(connector, "insert into src.ties values (1000, timestamp '2027-01-01 00:00:00', 'late')");
        const all = await load(connector, { ...cursor, bounds });
        expect(idsOf(all)).toHaveLength(100);
        const ties = await load(connector, {
          ...cursor,
          bounds,
          position: { values: ["2026-01-01 00:00:05.000001", "37"] },
          newRun: false,
        });
        expect(idsOf(ties)[0]).toBe(38);
        expect(idsOf(ties)).toHaveLength(63);
        const next = await load(connector, { ...cursor, position: lastPosition(all) });
        expect(idsOf(next)).toEqual([1000]);
      }));

    it(`${title}: looks back behind the last run's position, but not when it resumes`, () =>
      withConnector(async (connector) => {
        await seed(connector, "lookback");
        const cursor = {
          stream: "src.lookback",
          cursor: "ts",
          lookbackMs: 2_000,
          position: { values: ["2026-01-01 00:00:14.000001", "100"] },
        };
        expect(idsOf(await load(connector, cursor))).toEqual(Array.from({ length: 17 }, (_, index) => index + 84));
        expect(idsOf(await load(connector, { ...cursor, newRun: false }))).toEqual([]);
      }));

    it(`${title}: NULL in the cursor fails, or goes to the dead letters`, () =>
      withConnector(async (connector) => {
        await seed(connector, "nulls");
        await execute(connector, "insert into src.nulls values (201, null, 'lost'), (202, null, 'too')");
        const cursor = { stream: "src.nulls", cursor: "ts" };
        await expectCode(load(connector, cursor), "CURSOR_NULL", "2 rows", "ts");
        const batches = await load(connector, { ...cursor, nullCursor: "dead_letter" });
        expect(batches.flatMap(({ rejects }) => rejects ?? []).map(({ code, raw }) => [code, (JSON.parse(raw) as Row)["id"]])).toEqual([
          ["CURSOR_NULL", 201],
          ["CURSOR_NULL", 202],
        ]);
        expect(idsOf(batches)).toHaveLength(100);
        await expectCode(load(connector, { stream: "src.nulls", key: ["ts"] }), "CURSOR_INVALID", "ts");
      }));

    it(`${title}: without a key only the end is a place to go on from`, () =>
      withConnector(async (connector) => {
        await seed(connector, "keyed");
        await execute(connector, "create view src.keyless as select * from src.keyed");
        expect((await load(connector, { stream: "src.keyless" })).map(({ position }) => position)).toEqual([null]);
        const batches = await load(connector, { stream: "src.keyless", cursor: "ts" });
        expect(batches.map(({ position }) => position)).toEqual([{ values: ["2026-01-01 00:00:14.000001"] }]);
        expect(idsOf(await load(connector, { stream: "src.keyless", cursor: "ts", position: lastPosition(batches) }))).toEqual([]);
      }));

    it(`${title}: reads a query and chosen columns`, () =>
      withConnector(async (connector) => {
        await seed(connector, "chosen");
        const queried = await load(connector, {
          stream: "query",
          query: "select id * 2 as id from src.chosen where id <= 3; -- that is all",
          key: ["id"],
        });
        expect(queried.flatMap(toRows)).toEqual([{ id: 2 }, { id: 4 }, { id: 6 }]);
        const [first] = await load(connector, { stream: "src.chosen", options: { columns: ["name", "id"] } });
        expect(Object.keys(toRows(first!)[0] ?? {})).toEqual(["name", "id"]);
      }));

    it(`${title}: reads the rows that meet a condition, from a cursor and on from every place`, () =>
      withConnector(async (connector) => {
        await seed(connector, "filtered");
        const options = { where: "id % 10 = 3 or name is null -- and no others", columns: ["id", "ts"] };
        const given = { stream: "src.filtered", cursor: "ts", options };
        const all = await load(connector, given);
        expect(idsOf(all)).toEqual([3, 13, 23, 33, 43, 53, 63, 73, 83, 93]);
        const later = await load(connector, { ...given, position: { values: ["2026-01-01 00:00:06.000001", "43"] }, newRun: false });
        expect(idsOf(later)).toEqual([53, 63, 73, 83, 93]);
        await execute(
          connector,
          "insert into src.filtered values (1001, timestamp '2027-01-01 00:00:00', 'x'), (1003, timestamp '2027-01-01 00:00:00', 'x')",
        );
        expect(idsOf(await load(connector, { ...given, position: lastPosition(all) }))).toEqual([1003]);
        const query = { stream: "q", query: "select 1 as id" };
        await expectCode(load(connector, { ...query, options }), "SOURCE_OPTIONS_INVALID", "from.where", "query");
        await expectCode(load(connector, { ...given, options: { where: "gone = 1" } }), "SOURCE_QUERY_FAILED", "gone");
        await expectCode(load(connector, { ...given, options: { where: "id = 1) or (" } }), "SOURCE_QUERY_FAILED");
      }));

    it(`${title}: what is not there is said by name`, () =>
      withConnector(async (connector) => {
        await seed(connector, "known");
        await expectCode(load(connector, { stream: "src.unknown" }), "SOURCE_STREAM_NOT_FOUND", "unknown");
        await expectCode(load(connector, { stream: "src.known", cursor: "changed" }), "CURSOR_INVALID", "changed");
        await expectCode(load(connector, { stream: "q", query: "select nothing" }), "SOURCE_QUERY_FAILED", "nothing");
      }));
  });
};
