// Redshift: a column gets a wider type by another one in its place, whole or not at all, whatever dies in between.

import { afterAll, describe, expect, it } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import type { LoadTarget, SchemaChange } from "../../connectors/connector.ts";
import { fromRows, type Row } from "../../connectors/lib/rows.ts";
import { redshift } from "../../connectors/redshift/spec.ts";
import { freshRedshiftDatabase } from "../fixtures/redshift.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";
import { expectCode } from "./sql-roles.ts";

const folder = testFolder("redshift-widening");
const database = await freshRedshiftDatabase();
const { query, cutAt } = database;
afterAll(() => database[Symbol.asyncDispose]());

const ID = column("id", { kind: "int64" });
const V = (kind: "int32" | "int64" | "float64" | "string" | "date"): Column => column("v", { kind });
const LARGE = "9007199254740993";

const loadOne = async (given: Partial<LoadTarget>, columns: readonly Column[], ...rows: readonly Row[]): Promise<void> => {
  await using connector = await openConnector(redshift, database.config, testContext(folder));
  await using load = await connector.destination!.openLoad(target({ key: `${given.table} ${columns.at(-1)!.type.kind}`, ...given }));
  await write(load, columns, rows);
};

const typeOf = async (table: string, name = "v"): Promise<unknown> =>
  (
    await query(
      "select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = cast($1 as regclass) and attname = $2 and not attisdropped",
      [table, name],
    )
  )[0]?.["type"];

const columnsOf = async (table: string): Promise<readonly unknown[]> =>
  (
    await query(
      "select attname from pg_attribute where attrelid = cast($1 as regclass) and attnum > 0 and not attisdropped order by attname",
      [table],
    )
  ).map((row) => row["attname"]);

type Batches = readonly (readonly [Column, Row])[];

/** One attempt at a load of a single chunk, which is cut where `cut` says once the last batch is on its way, or at the end of a replace. */
const attempt = async (given: Partial<LoadTarget>, batches: Batches, cut?: RegExp): Promise<readonly SchemaChange[]> => {
  await using connector = await openConnector(redshift, database.config, testContext(folder));
  await using load = await connector.destination!.openLoad(target(given));
  if (load.resume.bounds === undefined) await load.begin(null);
  if (load.resume.position === null) {
    for (const [place, [v, row]] of batches.entries()) {
      if (cut !== undefined && given.mode !== "replace" && place === batches.length - 1) cutAt(cut);
      await load.write(fromRows([ID, v], [row], { position: place + 1 }));
    }
    await load.commit(batches.length);
  }
  if (cut !== undefined && given.mode === "replace") cutAt(cut);
  await load.finish();
  return await load.schemaChanges!();
};

const STEPS = {
  "the wider column": /^alter table .* add column "_downbeat_wider"/,
  "its values": /^update .* set "_downbeat_wider"/,
  "the end of the old column": /^alter table .* drop column "v"/,
  "the new one's name": /^alter table .* rename column "_downbeat_wider"/,
  "the commit": /^commit/,
} as const;

const WAYS = {
  "before a chunk": { mode: "append", batches: [[V("int64"), { id: 2, v: LARGE }]] },
  "within a chunk": {
    mode: "append",
    batches: [
      [V("int32"), { id: 2, v: 2 }],
      [V("int64"), { id: 3, v: LARGE }],
    ],
  },
  "within a merge": {
    mode: "merge",
    keyColumns: ["id"],
    batches: [
      [V("int32"), { id: 2, v: 2 }],
      [V("int64"), { id: 2, v: LARGE }],
    ],
  },
  "before a swap": { mode: "replace", batches: [[V("int64"), { id: 2, v: LARGE }]] },
} as const satisfies Record<string, Pick<LoadTarget, "mode"> & { readonly keyColumns?: readonly string[]; readonly batches: Batches }>;

const AFTERWARDS: Readonly<Record<keyof typeof WAYS, readonly Row[]>> = {
  "before a chunk": [
    { id: "1", v: "1" },
    { id: "2", v: LARGE },
  ],
  "within a chunk": [
    { id: "1", v: "1" },
    { id: "2", v: "2" },
    { id: "3", v: LARGE },
  ],
  "within a merge": [
    { id: "1", v: "1" },
    { id: "2", v: LARGE },
  ],
  "before a swap": [{ id: "2", v: LARGE }],
};

const DEATHS = Object.keys(WAYS).flatMap((way) => Object.keys(STEPS).map((step) => [way, step] as [keyof typeof WAYS, keyof typeof STEPS]));

describe("a wider type in Redshift", () => {
  it.each(DEATHS)("%s: a death before %s leaves the table as it was, and the next attempt does all of it once", async (way, step) => {
    const { batches, ...given } = WAYS[way];
    const table = `${way} ${step}`.replaceAll(/\W/g, "_");
    await loadOne({ table }, [ID, V("int32")], { id: 1, v: 1 });
    const into = { table, key: table, ...given };
    await expect(attempt(into, batches, STEPS[step])).rejects.toThrow(/terminated|ECONNRESET|closed/i);
    expect(await query(`select id, v from ${table}`)).toEqual([{ id: "1", v: "1" }]);
    expect([await typeOf(table), await columnsOf(table)]).toEqual(["integer", ["id", "v"]]);
    expect(await attempt(into, batches)).toEqual([{ column: "v", change: "widened", before: "int32", after: "int64" }]);
    expect(await query(`select id, v from ${table} order by id`)).toEqual(AFTERWARDS[way]);
    expect([await typeOf(table), await columnsOf(table)]).toEqual(["bigint", ["id", "v"]]);
  });

  it("types grow again and again within one merge, and NULL stays NULL", async () => {
    const table = "grows";
    await loadOne({ table }, [ID, V("int32")], { id: 1, v: 1 }, { id: 2, v: null });
    const into = { table, key: table, mode: "merge", keyColumns: ["id"] } as const;
    await attempt(into, [
      [V("int32"), { id: 3, v: 3 }],
      [V("int64"), { id: 4, v: LARGE }],
      [column("v", { kind: "decimal", precision: 12, scale: 2 }), { id: 3, v: "3.25" }],
      [V("string"), { id: 5, v: "five" }],
    ]);
    expect([await typeOf(table), await columnsOf(table)]).toEqual(["character varying(65535)", ["id", "v"]]);
    expect(await query(`select id, v from ${table} order by id`)).toEqual([
      { id: "1", v: "1.00" },
      { id: "2", v: null },
      { id: "3", v: "3.25" },
      { id: "4", v: `${LARGE}.00` },
      { id: "5", v: "five" },
    ]);
  });

  it("values of every type become the texts that a cast gives, of every column that grows at once", async () => {
    const table = "texts";
    const values = {
      b: [{ kind: "bool" }, true, "true"],
      f: [{ kind: "float64" }, 0.1, "0.1"],
      g: [{ kind: "float32" }, 0.25, "0.25"],
      d: [{ kind: "date" }, "2024-02-29", "2024-02-29"],
      t: [{ kind: "time" }, "23:59:59.123456", "23:59:59.123456"],
      at: [{ kind: "timestamp" }, "2026-01-01T00:00:00.000001", "2026-01-01 00:00:00.000001"],
      z: [{ kind: "timestamptz" }, "2026-07-01T10:00:00.500000Z", "2026-07-01 10:00:00.5+00"],
      j: [{ kind: "json" }, '{"a": [1, null]}', '{"a": [1, null]}'],
      n: [{ kind: "decimal", precision: 30, scale: 4 }, "-12345678901234567890.5000", "-12345678901234567890.5000"],
    } as const;
    const entries = Object.entries(values);
    const before = entries.map(([name, [type]]) => column(name, type));
    const row = Object.fromEntries(entries.map(([name, [, value]]) => [name, value]));
    const after = entries.map(([name]) => column(name, { kind: "string" }));
    await loadOne({ table, key: "typed" }, before, row);
    await loadOne({ table, key: "texts" }, after, Object.fromEntries(entries.map(([name]) => [name, "x"])));
    const [typed] = await query(`select * from ${table} where b = 'true'`);
    expect(typed).toEqual(Object.fromEntries(entries.map(([name, [, , text]]) => [name, text])));
    await loadOne({ table, key: "typed again" }, before, row);
    expect(await query(`select count(*) as n from ${table} where d = '2024-02-29' and f = '0.1'`)).toEqual([{ n: "2" }]);
  });

  it("what would be gone with the old column is named, and nothing is changed", async () => {
    const cases = [
      ["distributed", "v integer", "insert into redshift_keys values ('distributed', 'v', true, 0)", "the distribution key"],
      ["sorted", "v integer", "insert into redshift_keys values ('sorted', 'v', false, -2)", "of the sort key"],
      ["filled", "v integer not null", undefined, "NOT NULL"],
      ["defaulted", "v integer default 7", undefined, "default"],
      ["keyed", "v integer unique", undefined, "unique"],
      ["granted", "v integer", "grant select (v) on granted to public", "granted on its own"],
      ["seen", "v integer", "create view sight as select v from seen", "sight"],
    ] as const;
    for (const [table, definition, also, what] of cases) {
      await query(`create table ${table} (id bigint, ${definition})`);
      await query(`insert into ${table} values (1, 1)`);
      if (also !== undefined) await query(also);
      await expectCode(
        loadOne({ table }, [ID, V("int64")], { id: 2, v: LARGE }),
        "DESTINATION_SCHEMA_MISMATCH",
        table,
        '"v"',
        "bigint",
        what,
        "Take off",
      );
      expect(await query(`select id, v from ${table}`)).toEqual([{ id: "1", v: "1" }]);
      expect([await typeOf(table), await columnsOf(table)]).toEqual(["integer", ["id", "v"]]);
      await loadOne({ table, key: `${table} narrow` }, [ID, V("int32")], { id: 2, v: 2 });
    }
    await query("drop view sight");
    await loadOne({ table: "seen", key: "unseen" }, [ID, V("int64")], { id: 3, v: LARGE });
    expect(await typeOf("seen")).toBe("bigint");
  });

  it("a number that its text would not be is not made one", async () => {
    await loadOne({ table: "rounded" }, [ID, V("float64")], { id: 1, v: 0.1 }, { id: 2, v: 1 / 3 });
    // As a server would that writes fifteen digits.
    await query(
      `create function round() returns trigger language plpgsql as $$ begin new._downbeat_wider := left(new._downbeat_wider, 15); return new; end $$;
       create trigger round before update on rounded for each row execute function round()`,
    );
    await expectCode(
      loadOne({ table: "rounded" }, [ID, V("string")], { id: 3, v: "x" }),
      "DESTINATION_SCHEMA_MISMATCH",
      '"v"',
      "1 values would not be the same numbers",
    );
    expect(await typeOf("rounded")).toBe("double precision");
    await query("drop trigger round on rounded");
    await loadOne({ table: "rounded", key: "exact" }, [ID, V("string")], { id: 3, v: "x" });
    expect(await query("select v from rounded order by id")).toEqual([{ v: "0.1" }, { v: String(1 / 3) }, { v: "x" }]);
  });
});
