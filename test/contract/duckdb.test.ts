// DuckDB against the contract of destinations.

import path from "node:path";
import { beforeAll } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { sourceCases } from "../../connectors/contract/source.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { shareDuckdb } from "../../connectors/lib/duckdb-instance.ts";
import { quoteName, quoteText } from "../../connectors/lib/load/names.ts";
import type { Json } from "../../core/json.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { testSqlRoles } from "./sql-roles.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("duckdb");
const file = path.join(folder, "warehouse.duckdb");
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> =>
  openConnector(duckdb, { path: file, memory_limit: "500MB", threads: 2 }, testContext(folder, signal));

/** Reads through the driver alone. The connector under test may hold the file, so it is read in this process's own instance of it. */
const rowsOf = async (sql: string): Promise<readonly Record<string, unknown>[]> => {
  await using shared = await shareDuckdb(file, { memoryLimit: "500MB", threads: 2 });
  const connection = await shared.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
  }
};

const AS_CONTRACT: readonly (readonly [type: RegExp, sql: (column: string) => string])[] = [
  [
    /^(BIGINT|UBIGINT)$/,
    (column) => `case when abs(${column}::hugeint) <= 9007199254740991 then to_json(${column}) else to_json(${column}::varchar) end`,
  ],
  [/^DECIMAL/, (column) => `to_json(regexp_replace(${column}::varchar, '^(-?)\\.', '\\10.'))`],
  [/^BLOB$/, (column) => `to_json(to_base64(${column}))`],
  [
    /^(FLOAT|DOUBLE)$/,
    (column) =>
      `case when isfinite(${column}) then to_json(${column}::double) else to_json(replace(replace(${column}::varchar, 'inf', 'Infinity'), 'nan', 'NaN')) end`,
  ],
  [
    /^DATE$/,
    (column) =>
      `to_json(case when year(${column}) > 9999 then format('+{:06d}-{:02d}-{:02d}', year(${column}), month(${column}), day(${column})) else ${column}::varchar end)`,
  ],
  [/^TIMESTAMP$/, (column) => `to_json(replace(${column}::varchar, ' ', 'T'))`],
  [/^TIMESTAMP WITH TIME ZONE$/, (column) => `to_json(replace(timezone('UTC', ${column})::varchar, ' ', 'T') || 'Z')`],
  [/^JSON$/, (column) => column],
];

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const found = await rowsOf(
    `select column_name, data_type from duckdb_columns() where table_name = ${quoteText(table.replace(/^"|"$/g, "").replaceAll('""', '"'))} order by column_index`,
  );
  if (found.length === 0) return undefined;
  const columns = found.map((row) => ({ name: String(row["column_name"]), type: String(row["data_type"]) }));
  const values = columns.map(({ name, type }) => {
    const quoted = quoteName(`"${name.replaceAll('"', '""')}"`);
    const convert = AS_CONTRACT.find(([pattern]) => pattern.test(type))?.[1] ?? ((column: string) => `to_json(${column})`);
    return `${convert(quoted)}::varchar as ${quoted}`;
  });
  const rows = await rowsOf(`select ${values.join(", ")} from ${quoteName(table)} order by rowid`);
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, text]) => [name, typeof text === "string" ? (JSON.parse(text) as Json) : null])),
  );
};

runCases(
  "duckdb destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge", "replace"],
    types: sampleTable(),
    refusedTypes: [{ kind: "decimal", precision: 39, scale: 0 }],
    hasSchema: true,
    deadLetters: "_downbeat.dead_letters",
    readDeadLetters: async (key) =>
      (await rowsOf(`select reason from _downbeat.dead_letters where "key" = ${quoteText(key)}`)).map((row) => String(row["reason"])),
  }),
);

testSqlRoles("duckdb", make);

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
  "duckdb source",
  sourceCases({
    open: (signal) => make(signal),
    stream: "seeded.many",
    emptyStream: "seeded.none",
    options: {},
    cursor: "ts",
    capabilities: duckdb.capabilities,
    expectedRows: 230_000,
    append: async () => {
      await using connector = await make();
      await connector.sql!.execute("insert into seeded.many values (:id, timestamp '2027-01-01 00:00:00', 'late')", { id: (added += 1) });
    },
  }),
);
