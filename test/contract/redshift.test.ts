// Redshift against the contract of destinations: the real driver and real files on a double, see docs/decisions/0026-redshift.md for what that is.

import { afterAll } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { quoteName, splitName } from "../../connectors/lib/load/names.ts";
import { redshift } from "../../connectors/redshift/spec.ts";
import type { Json } from "../../core/json.ts";
import { freshRedshiftDatabase } from "../fixtures/redshift.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("redshift");
const database = await freshRedshiftDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> =>
  openConnector(redshift, database.config, testContext(folder, signal));

/** A value's text as the contract's JSON. */
const readerOf = (type: string): ((text: string) => Json) => {
  if (/^(integer|bigint|numeric\(20,0\))$/.test(type)) return (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
  if (type === "real") return (text) => (Number.isFinite(Number(text)) ? Math.fround(Number(text)) : text);
  if (type === "double precision") return (text) => (Number.isFinite(Number(text)) ? Number(text) : text);
  if (type === "boolean") return (text) => text === "t";
  if (type.startsWith("varbyte")) return (text) => Buffer.from(text, "hex").toString("base64");
  if (type === "timestamp with time zone") return (text) => text.replace(" ", "T").replace(/\+00$/, "Z");
  if (type.startsWith("timestamp")) return (text) => text.replace(" ", "T");
  if (type === "super") return (text) => JSON.parse(text) as Json;
  return (text) => text;
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const name = splitName(table)?.at(-1) ?? table;
  const columns = await database.query(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relname = lower($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [name],
  );
  if (columns.length === 0) return undefined;
  const readers = columns.map((column) => ({ name: String(column["name"]), read: readerOf(String(column["type"])) }));
  const rows = await database.query(`select * from ${quoteName(table).toLowerCase()}`);
  return rows.map((row) =>
    Object.fromEntries(
      readers.map(({ name: column, read }) => {
        const text = row[column] ?? null;
        return [column, text === null ? null : read(String(text))];
      }),
    ),
  );
};

runCases(
  "redshift destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge", "replace"],
    types: sampleTable(["date", "string"]),
    refusedTypes: [{ kind: "decimal", precision: 39, scale: 0 }],
    hasSchema: true,
    deadLetters: "_downbeat.dead_letters",
    readDeadLetters: async (key) =>
      (await database.query(`select reason from _downbeat.dead_letters where "key" = $1`, [key])).map((row) => String(row["reason"])),
  }),
  [
    {
      reason: "names are lower case in Redshift, as Downbeat writes them",
      tests: ["names with capitals, quotes, spaces, Unicode and reserved words are kept"],
    },
  ],
);
