// PostgreSQL against the contract of destinations, and as SQL warehouse and source.

import pg from "pg";
import { beforeAll } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { sourceCases } from "../../connectors/contract/source.ts";
import { quoteName, splitName } from "../../connectors/lib/load/names.ts";
import { postgres } from "../../connectors/postgres/spec.ts";
import type { Json } from "../../core/json.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { testSqlRoles } from "./sql-roles.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("postgres");
const { url: _, ...address } = await freshPostgresDatabase();
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> => openConnector(postgres, address, testContext(folder, signal));

/** Reads through the driver alone, values as the server writes them. */
const rowsOf = async (sql: string, params: readonly string[] = []): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ ...address, types: { getTypeParser: () => (text: unknown) => text } });
  await client.connect();
  try {
    await client.query("set timezone = 'UTC'");
    return (await client.query<Record<string, unknown>>(sql, [...params])).rows;
  } finally {
    await client.end();
  }
};

const AS_CONTRACT: Readonly<Record<string, (column: string) => string>> = {
  bigint: (column) => `case when abs(${column}::numeric) <= 9007199254740991 then to_json(${column}) else to_json(${column}::text) end`,
  "numeric(20,0)": (column) => `case when ${column} <= 9007199254740991 then to_json(${column}::bigint) else to_json(${column}::text) end`,
  bytea: (column) => `to_json(replace(encode(${column}, 'base64'), E'\\n', ''))`,
  date: (column) =>
    `to_json(case when extract(year from ${column}) > 9999 then '+' || lpad(extract(year from ${column})::text, 6, '0') || to_char(${column}, '-MM-DD') else ${column}::text end)`,
  "timestamp without time zone": (column) => `to_json(replace(${column}::text, ' ', 'T'))`,
  "timestamp with time zone": (column) => `to_json(replace((${column} at time zone 'UTC')::text, ' ', 'T') || 'Z')`,
  real: (column) =>
    `case when ${column} = 'NaN' or abs(${column}) = 'Infinity' then to_json(${column}::text) else to_json(${column}::float8) end`,
  "double precision": (column) =>
    `case when ${column} = 'NaN' or abs(${column}) = 'Infinity' then to_json(${column}::text) else to_json(${column}) end`,
  json: (column) => column,
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const name = splitName(table)?.at(-1) ?? table;
  const columns = await rowsOf(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relname = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [name],
  );
  if (columns.length === 0) return undefined;
  const values = columns.map(({ name: column, type }) => {
    const quoted = `"${String(column).replaceAll('"', '""')}"`;
    const convert =
      AS_CONTRACT[String(type)] ??
      (String(type).startsWith("numeric") ? (text: string) => `to_json(${text}::text)` : (text: string) => `to_json(${text})`);
    return `(${convert(quoted)})::text as ${quoted}`;
  });
  const rows = await rowsOf(`select ${values.join(", ")} from ${quoteName(table)}`);
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([key, text]) => [key, typeof text === "string" ? (JSON.parse(text) as Json) : null])),
  );
};

runCases(
  "postgres destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge", "replace"],
    types: sampleTable(),
    refusedTypes: [{ kind: "decimal", precision: 1_001, scale: 0 }],
    hasSchema: true,
    deadLetters: "_downbeat.dead_letters",
    readDeadLetters: async (key) =>
      (await rowsOf(`select reason from _downbeat.dead_letters where "key" = $1`, [key])).map((row) => String(row["reason"])),
  }),
);

testSqlRoles("postgres", make);

// More rows than a batch takes, several with the same cursor value on each side of its end.
beforeAll(async () => {
  await using connector = await make();
  await connector.sql!.execute(
    `create schema seeded; create table seeded.none (id integer primary key, ts timestamp);
     create table seeded.many (id integer primary key, ts timestamp, name varchar);
     insert into seeded.many select i, timestamp '2026-01-01 00:00:00' + cast(cast(floor(i / 1000.0) as int) || ' seconds' as interval), 'row ' || i
       from generate_series(1, 230000) as s(i)`,
  );
});

let added = 1_000_000;
runCases(
  "postgres source",
  sourceCases({
    open: (signal) => make(signal),
    stream: "seeded.many",
    emptyStream: "seeded.none",
    options: {},
    cursor: "ts",
    capabilities: postgres.capabilities,
    expectedRows: 230_000,
    append: async () => {
      await using connector = await make();
      await connector.sql!.execute("insert into seeded.many values (:id, timestamp '2027-01-01 00:00:00', 'late')", { id: (added += 1) });
    },
  }),
);
