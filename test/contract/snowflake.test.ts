// Snowflake against the contract of destinations and as SQL warehouse: the real driver on an emulator, see bin/services/snowflake.ts for what that is.

import { afterAll } from "vitest";
import { destinationCases } from "../../connectors/contract/destination.ts";
import { quoteName } from "../../connectors/lib/load/names.ts";
import { snowflake } from "../../connectors/snowflake/spec.ts";
import type { Json } from "../../core/json.ts";
import { freshSnowflakeDatabase } from "../fixtures/services.ts";
import { snowflakeQueries } from "../fixtures/snowflake.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("snowflake");
const config = freshSnowflakeDatabase();
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> => openConnector(snowflake, config, testContext(folder, signal));

const { query: rowsOf, [Symbol.asyncDispose]: close } = await snowflakeQueries(config.endpoint, config.database);
afterAll(() => close());

/** How a column of a type is asked for, so that its text is the contract's JSON. */
const readerOf = (type: string): { readonly sql: string; readonly read: (text: string) => Json } => {
  const integer = (text: string): Json => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
  if (/^NUMBER\((10|19|20),0\)/.test(type)) return { sql: "@::varchar", read: integer };
  if (type === "FLOAT")
    return {
      sql: "@::varchar",
      read: (text) =>
        Number.isFinite(Number(text)) ? Number(text) : text === "nan" ? "NaN" : text.startsWith("-") ? "-Infinity" : "Infinity",
    };
  if (type === "BOOLEAN") return { sql: "@::varchar", read: (text) => text === "true" };
  if (type.startsWith("BINARY")) return { sql: "hex_encode(@)", read: (text) => Buffer.from(text, "hex").toString("base64") };
  if (type.startsWith("TIMESTAMP_TZ")) return { sql: "@::varchar", read: (text) => text.replace(" ", "T").replace(/\+00(:?00)?$/, "Z") };
  if (type.startsWith("TIMESTAMP")) return { sql: "@::varchar", read: (text) => text.replace(" ", "T") };
  if (type === "VARIANT") return { sql: "@::varchar", read: (text) => JSON.parse(text) as Json };
  // The emulator leaves out the zero before the point.
  if (type.startsWith("NUMBER")) return { sql: "@::varchar", read: (text) => text.replace(/^(-?)\./, "$10.") };
  return { sql: "@::varchar", read: (text) => text };
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const name = quoteName(table);
  const columns = await rowsOf(`describe table ${name}`);
  if (columns === undefined) return undefined;
  const readers = columns.map((column) => ({ name: String(column["name"]), ...readerOf(String(column["type"])) }));
  const values = readers.map((reader, place) => `${reader.sql.replace("@", () => quoteName(reader.name))} as c${place}`);
  const rows = await rowsOf(`select ${values.join(", ")} from ${name}`);
  return rows?.map((row) =>
    Object.fromEntries(
      readers.map((reader, place) => {
        const text = row[`c${place}`] ?? null;
        return [reader.name.toLowerCase(), text === null ? null : reader.read(String(text))];
      }),
    ),
  );
};

runCases(
  "snowflake destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge", "replace"],
    types: sampleTable(["date"]),
    refusedTypes: [{ kind: "decimal", precision: 39, scale: 0 }],
    hasSchema: true,
    deadLetters: "_downbeat.dead_letters",
    readDeadLetters: async (key) =>
      ((await rowsOf(`select "reason" from "_downbeat"."dead_letters" where "key" = '${key}'`)) ?? []).map((row) => String(row["reason"])),
  }),
  [
    {
      reason: "Snowflake gives a column more digits or characters, and no other type",
      tests: [
        "evolve widens int64 to decimal and takes the narrow type afterwards",
        "evolve widens int64 to float64 and takes the narrow type afterwards",
        "evolve widens int32 to string and takes the narrow type afterwards",
        "evolve widens decimal to decimal and takes the narrow type afterwards",
      ],
    },
    {
      reason: "Snowflake has one type of floating-point numbers",
      tests: ["evolve widens float32 to float64 and takes the narrow type afterwards"],
    },
    {
      reason: "names are upper case in Snowflake, as Downbeat writes them",
      tests: ["names with capitals, quotes, spaces, Unicode and reserved words are kept"],
    },
  ],
);
