// MySQL against the contract of destinations, by each way that batches go to the server.

import { describe, expect, it } from "vitest";
import type { Destination } from "../../connectors/connector.ts";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { splitName } from "../../connectors/lib/load/names.ts";
import { fromRows, type Row } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { runCases } from "./kit.ts";
import { column, target } from "./load-kit.ts";
import { make, run } from "./mysql-kit.ts";
import { SAMPLES, sampleTable } from "./types.ts";

const quoted = (name: string): string => `\`${name.replaceAll("`", "``")}\``;
const integer = (text: string): Json => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
const moment = (text: string): Json => text.replace(" ", "T").replace(/\.000000$/, "");

/** How a column is asked for, and its text as the contract's JSON. */
const readerOf = (type: string, collation: string | null): { readonly sql?: string; readonly read: (text: string) => Json } => {
  if (type === "tinyint(1)") return { read: (text) => text === "1" };
  if (/^(int|bigint)/.test(type)) return { read: integer };
  if (/^(float|double)/.test(type)) return { sql: "@ + 0e0", read: Number };
  if (type.startsWith("datetime")) return { read: moment };
  if (type.startsWith("time")) return { read: (text) => text.replace(/\.000000$/, "") };
  if (/blob/.test(type)) return { sql: "hex(@)", read: (text) => Buffer.from(text, "hex").toString("base64") };
  // MariaDB's json is a longtext with a collation of its own.
  if (type === "json" || collation === "utf8mb4_bin") return { read: (text) => JSON.parse(text) as Json };
  return { read: (text) => text };
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const name = (splitName(table) ?? [table]).map(quoted).join(".");
  const shown = await run(`show full columns from ${name}`).catch(() => undefined);
  if (shown === undefined) return undefined;
  const columns = shown.map((row) => ({ name: row["Field"]!, reader: readerOf(row["Type"]!, row["Collation"] ?? null) }));
  const values = columns.map(({ name: column, reader }, place) => `${(reader.sql ?? "@").replace("@", () => quoted(column))} as c${place}`);
  const rows = await run(`select ${values.join(", ")} from ${name}`);
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(({ name: column, reader }, place) => {
        const text = row[`c${place}`] ?? null;
        return [column, text === null ? null : reader.read(text)];
      }),
    ),
  );
};

/** What the server can hold of every type: no NaN, no infinities, no year 12345; and a moment is kept as the wall clock in UTC. */
const types = () => {
  const { columns, rows } = sampleTable(["float32", "float64", "date"]);
  const finite: Readonly<Record<string, readonly Json[]>> = {
    c_float32: [-3.4028234663852886e38, 1.401298464324817e-45, 0.10000000149011612],
    c_float64: [1.7976931348623157e308, 5e-324, 0.1, -1.5],
    c_date: ["1969-12-31", "0001-01-01", "9999-12-31", "2000-02-29"],
  };
  const more = (row: number): Row => Object.fromEntries(Object.entries(finite).map(([name, values]) => [name, values[row - 1] ?? null]));
  const read = sampleTable(["float32", "float64", "date"]).read;
  return {
    columns: [
      ...columns,
      column("c_float32", SAMPLES.float32.type),
      column("c_float64", SAMPLES.float64.type),
      column("c_date", SAMPLES.date.type),
    ],
    rows: rows.map((row, place) => ({ ...row, ...more(place) })),
    read: read.map((row, place) => {
      const at = row["c_timestamptz"];
      return { ...row, ...more(place), c_timestamptz: typeof at === "string" ? at.replace(/Z$/, "") : null } as Record<string, Json>;
    }),
  };
};

for (const way of ["auto", "never"] as const) {
  const opened = async (): ReturnType<typeof make> => {
    const connector = await make();
    const destination: Destination = {
      ...connector.destination!,
      openLoad: (given) => connector.destination!.openLoad({ ...given, options: { ...given.options, load_data: way } }),
    };
    return { ...connector, destination };
  };
  runCases(
    `mysql destination, load_data: ${way}`,
    destinationCases({
      make: opened,
      readTable,
      modes: ["append", "merge", "replace"],
      types: types(),
      refusedTypes: [
        { kind: "decimal", precision: 66, scale: 0 },
        { kind: "decimal", precision: 40, scale: 31 },
      ],
      hasSchema: true,
      deadLetters: "_downbeat_dead_letters",
      readDeadLetters: async (key) =>
        (await run(`select reason from _downbeat_dead_letters where \`key\` = '${key}'`)).map((row) => String(row["reason"])),
    }),
  );
}

describe("both ways into MySQL", () => {
  it("give the same bytes for texts, NULL, numbers and binary values of every kind", async () => {
    const texts = ["\\", "\\\\N", "a\tb\nc\rd\0e", "'\"`", "%_", "\\t", "ends with \\", "\n", "\t", " ", "🎼\u{1a}", "NULL", "\\N", ""];
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const rows: readonly Row[] = [
      ...texts.map((s, id) => ({ id, s, b: Buffer.from(s), j: JSON.stringify({ s }), n: `-${id}.5`, i: 2 ** 45 + id })),
      { id: 100 },
      { id: 101, s: "x".repeat(300_000), b: every, j: '[1.0, "\\u00fc"]', n: "0.1", i: "-9007199254740993" },
      { id: 102, s: "y", b: Buffer.alloc(0), i: "9223372036854775807" },
    ];
    const columns = [
      column("id", { kind: "int32" }),
      column("s", { kind: "string" }),
      column("b", { kind: "binary" }),
      column("j", { kind: "json" }),
      column("n", { kind: "decimal", precision: 30, scale: 1 }),
      column("i", { kind: "int64" }),
    ];
    const found = [];
    for (const way of ["auto", "never"]) {
      await using connector = await make();
      const table = `ways_${way}`;
      await using load = await connector.destination!.openLoad(target({ key: table, table, options: { load_data: way } }));
      await load.begin(null);
      await load.write(fromRows(columns, rows, { position: null }));
      await load.commit(null);
      await load.finish();
      found.push(await run(`select id, hex(s) as s, hex(b) as b, hex(j) as j, n, i from ${table} order by id`));
    }
    expect(found[0]).toHaveLength(rows.length);
    expect(found[0]![0]).toMatchObject({ s: "5C", b: "5C" });
    expect(found[0]!.map((row) => row["s"])).toEqual(
      rows.map((row) => (row["s"] === undefined ? null : Buffer.from(String(row["s"])).toString("hex").toUpperCase())),
    );
    expect(found[1]).toEqual(found[0]);
  });

  it("puts in a column alone, empty texts and NULL apart", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "alone", table: "alone" }));
    await load.begin(null);
    await load.write(fromRows([column("s", { kind: "string" })], [{ s: "" }, { s: null }, { s: "x" }, { s: "" }], { position: null }));
    await load.commit(null);
    await load.finish();
    expect((await run("select s from alone")).map(({ s }) => s)).toEqual(["", null, "x", ""]);
  });
});
