// MySQL against the contract of sources, and all of its types at their extremes, compared with what the server itself says of them.

import { describe, expect, it } from "vitest";
import { sourceCases } from "../../connectors/contract/source.ts";
import { mysql } from "../../connectors/mysql/spec.ts";
import { toRows, typeName } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { openConnector, runCases, testContext } from "./kit.ts";
import { address, folder, load, make, numbers, parseOptions, run } from "./mysql-kit.ts";
import { NAMES, number, TYPES, typesTable } from "./mysql-types.ts";
import { expectCode } from "./sql-roles.ts";

await run(
  "create table orders (id int primary key, at datetime(6) not null, note varchar(50), key by_at (at, id))",
  `insert into orders select n, timestamp '2026-01-01 00:00:00' + interval n div 3 microsecond, if(n % 5 = 0, null, concat('Größe ', n)) from ${numbers(1_000)}`,
  "create table nothing (id int primary key, at datetime(6) not null)",
);
let added = 1_000;

runCases(
  "mysql source",
  sourceCases({
    open: (signal) => make(testContext(folder, signal)),
    stream: "orders",
    options: parseOptions({}),
    capabilities: mysql.capabilities,
    cursor: "at",
    discovered: "orders",
    emptyStream: "nothing",
    async append() {
      added += 10;
      await run(`insert into orders select ${added} + n, now(6), 'new' from ${numbers(7)}`);
    },
    openUnauthorized: () => openConnector(mysql, { ...address, password: "wrong" }, testContext(folder)),
    openUnreachable: () => openConnector(mysql, { ...address, port: 1, connect_timeout: 2 }, testContext(folder)),
  }),
);

/** Places behind the point that are zero are no difference. */
const shown = (text: string | null | undefined): string | null =>
  text === null || text === undefined ? null : text.replace(/^(.*[\d])\.0+$|^(.*\.\d*[1-9])0+$/, "$1$2");

describe("types of MySQL", () => {
  it("come as the server itself says them, with NULL kept apart from empty", async () => {
    const { create, inserts } = typesTable("types");
    await run(create, ...inserts);
    await using connector = await make();
    const batches = await load(connector, { stream: "types" });
    const columns = batches[0]!.schema.columns.slice(1);
    expect(Object.fromEntries(columns.map(({ name, type }) => [name, typeName(type)]))).toEqual(
      Object.fromEntries(NAMES.map((name) => [name, TYPES[name]!.type])),
    );
    const found = batches.flatMap(toRows);
    const expected = await run(
      `select ${NAMES.map((name) => `${TYPES[name]!.asText?.(`\`${name}\``) ?? `cast(\`${name}\` as char)`} as \`${name}\``).join(", ")} from types order by id`,
    );
    for (const name of NAMES) {
      const { show } = TYPES[name]!;
      const ours = found.map((row) => {
        const value = row[name]!;
        if (value === null) return null;
        if (show !== undefined && show !== String) return show(value);
        return shown(
          typeof value === "object"
            ? JSON.stringify(value)
            : String(value)
                .replace(/^(\d{4}-\d\d-\d\d)T/, "$1 ")
                .replace(/(\d)Z$/, "$1"),
        );
      });
      const theirs = expected.map((row) => {
        const text = row[name];
        if (text === null || text === undefined) return null;
        if (show === String) return shown(JSON.stringify(JSON.parse(text)));
        return show === number ? String(Number(text)) : shown(text);
      });
      expect({ [name]: ours }).toEqual({ [name]: theirs });
    }
  });

  it("JSON keeps its text, digit by digit", async () => {
    await run(
      "create table documents (id int primary key, j json)",
      `insert into documents values (1, '{"n": 12345678901234567890, "d": 0.10}')`,
    );
    await using connector = await make();
    const [batch] = await load(connector, { stream: "documents" });
    const vector = batch!.columns[1]!;
    const [row] = await run("select j from documents");
    expect(Buffer.from(vector.data).toString("utf8", 0, vector.layout === "text" ? vector.offsets[1] : 0)).toBe(row!["j"]);
  });

  it("tinyint(1) is a bool on request, and other values than 0 and 1 are refused then", async () => {
    await run(
      "create table flags (id int primary key, f tinyint(1))",
      "insert into flags values (1, 0), (2, 1), (3, null), (4, 2), (5, -1), (6, 1)",
    );
    await using connector = await make();
    const batches = await load(connector, { stream: "flags", options: { tinyint1: "bool" } });
    expect(batches.flatMap(toRows)).toEqual([
      { id: 1, f: false },
      { id: 2, f: true },
      { id: 3, f: null },
      { id: 6, f: true },
    ]);
    const rejects = batches.flatMap((batch) => batch.rejects ?? []);
    expect(rejects.map(({ where, code, raw }) => [where, code, raw])).toEqual([
      ["the row with id 4", "SOURCE_DATA_INVALID", '{"id":"4","f":"2"}'],
      ["the row with id 5", "SOURCE_DATA_INVALID", '{"id":"5","f":"-1"}'],
    ]);
  });

  it("dates that are none fail, become NULL or dead letters, as asked", async () => {
    await run(
      "create table dates (id int primary key, d date not null, t datetime(3))",
      "insert into dates values (1, '2026-01-01', null), (2, '0000-00-00', '2026-01-01'), (3, '2026-00-15', '2026-01-02'), (4, '2026-01-04', '0000-00-00 00:00:00'), (5, '2026-02-31', null), (6, '2026-01-06', '2026-06-00 01:02:03.456')",
    );
    await using connector = await make();
    await expectCode(load(connector, { stream: "dates" }), "SOURCE_DATA_INVALID", "id 2", 'column "d"', "0000-00-00", "zero_dates");
    const nulled = await load(connector, { stream: "dates", options: { zero_dates: "null" } });
    expect(nulled[0]!.schema.columns[1]!.nullable).toBe(true);
    expect(nulled.flatMap(toRows)).toEqual([
      { id: 1, d: "2026-01-01", t: null },
      { id: 2, d: null, t: "2026-01-01T00:00:00" },
      { id: 3, d: null, t: "2026-01-02T00:00:00" },
      { id: 4, d: "2026-01-04", t: null },
      { id: 5, d: null, t: null },
      { id: 6, d: "2026-01-06", t: null },
    ]);
    const diverted = await load(connector, { stream: "dates", options: { zero_dates: "dead_letter" } });
    expect(diverted.flatMap(toRows)).toEqual([{ id: 1, d: "2026-01-01", t: null }]);
    expect(diverted.flatMap((batch) => batch.rejects ?? []).map(({ raw }) => JSON.parse(raw) as Json)).toEqual([
      { id: "2", d: "0000-00-00", t: "2026-01-01" },
      { id: "3", d: "2026-00-15", t: "2026-01-02" },
      { id: "4", d: "2026-01-04", t: "0000-00-00" },
      { id: "5", d: "2026-02-31", t: null },
      { id: "6", d: "2026-01-06", t: "2026-06-00 01:02:03.456000" },
    ]);
    // The refused rows behind the last good one are not read again.
    expect(diverted.at(-1)!.position).toEqual({ values: ["6"] });
  });

  it("geometry is refused, unless it is left out or converted", async () => {
    await run("create table places (id int primary key, spot point, area polygon)", "insert into places values (1, point(1, 2), null)");
    await using connector = await make();
    await expectCode(load(connector, { stream: "places" }), "SOURCE_TYPE_UNSUPPORTED", '"spot", "area"', "columns");
    expect((await load(connector, { stream: "places", options: { columns: ["id"] } })).flatMap(toRows)).toEqual([{ id: 1 }]);
    const converted = await load(connector, { stream: "places", query: "select st_astext(spot) as spot from places;" });
    expect(converted.flatMap(toRows)).toEqual([{ spot: "POINT(1 2)" }]);
    const places = (await connector.source!.discover()).find(({ name }) => name === "places");
    expect(places?.columns.map(({ name }) => name)).toEqual(["id"]);
  });

  it("MariaDB's own types come as they are", async ({ skip }) => {
    const [row] = await run("select version() as version");
    if (!/mariadb/i.test(String(row?.["version"]))) skip("the server is MySQL, which has none of them");
    await run(
      "create table own (id int primary key, u uuid, a inet6)",
      "insert into own values (1, '123E4567-e89b-12d3-a456-426655440000', '2001:db8::ff')",
    );
    await using connector = await make();
    const [batch] = await load(connector, { stream: "own" });
    expect(batch!.schema.columns.map(({ type }) => type.kind)).toEqual(["int32", "uuid", "string"]);
    expect(toRows(batch!)).toEqual([{ id: 1, u: "123e4567-e89b-12d3-a456-426655440000", a: "2001:db8::ff" }]);
  });
});
