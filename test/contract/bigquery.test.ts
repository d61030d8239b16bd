// BigQuery against the contract of destinations: the real client on an emulator, see bin/services/bigquery.ts for what that is.

import { destinationCases } from "../../connectors/contract/destination.ts";
import { bigquery } from "../../connectors/bigquery/spec.ts";
import type { Json } from "../../core/json.ts";
import { bigqueryQueries } from "../fixtures/bigquery.ts";
import { freshBigqueryProject } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";
import { sampleTable } from "./types.ts";

const folder = testFolder("bigquery");
const config = freshBigqueryProject();
const make = (signal?: AbortSignal): ReturnType<typeof openConnector> => openConnector(bigquery, config, testContext(folder, signal));
const { query, fieldsOf } = bigqueryQueries(config.endpoint, config.project);

/** The API's text of a value as the contract's JSON. */
const valueOf = (type: string, text: string): Json => {
  switch (type) {
    case "INTEGER":
    case "FLOAT":
      return Number.isSafeInteger(Number(text)) || (type === "FLOAT" && Number.isFinite(Number(text))) ? Number(text) : text;
    case "BOOLEAN":
      return text === "true";
    case "JSON":
      return JSON.parse(text) as Json;
    case "TIMESTAMP": {
      const micros = BigInt(text);
      const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
      const moment = new Date(Number((micros - fraction) / 1_000n)).toISOString().slice(0, 19);
      return `${moment}${fraction === 0n ? "" : `.${String(fraction).padStart(6, "0")}`}Z`;
    }
    default:
      return text;
  }
};

/** Decimals come without the zeros at their end. */
const padded = (text: string, scale: number): string => {
  if (scale === 0) return text;
  const [whole = "", fraction = ""] = text.split(".");
  return `${whole}.${fraction.padEnd(scale, "0")}`;
};

const readTable = async (table: string): Promise<readonly Record<string, Json>[] | undefined> => {
  const [dataset, name] = table.includes(".") ? table.split(".") : ["shop", table];
  const fields = await fieldsOf(dataset!, name!);
  if (fields === undefined) return undefined;
  const rows = await query(`select * from \`${dataset}.${name}\``);
  return rows.map((row) =>
    Object.fromEntries(
      fields.map(({ name: column, type, precision, scale }) => {
        const text = row[column] ?? null;
        if (text === null) return [column, null];
        if (!type.endsWith("NUMERIC")) return [column, valueOf(type, text)];
        const exact = padded(text, Number(scale ?? (precision === undefined ? 9 : 0)));
        return [column, precision === "20" && Number.isSafeInteger(Number(exact)) ? Number(exact) : exact];
      }),
    ),
  );
};

runCases(
  "bigquery destination",
  destinationCases({
    make,
    readTable,
    modes: ["append", "merge", "replace"],
    types: sampleTable(["date"]),
    refusedTypes: [
      { kind: "decimal", precision: 39, scale: 0 },
      { kind: "decimal", precision: 40, scale: 39 },
    ],
    hasSchema: true,
    deadLetters: "_downbeat_us.dead_letters",
    readDeadLetters: async (key) =>
      (await query(`select reason from _downbeat_us.dead_letters where key = '${key}'`)).map((row) => String(row["reason"])),
  }),
  [
    {
      reason: "BigQuery gives a column more digits, and no other type",
      tests: ["evolve widens int32 to string and takes the narrow type afterwards"],
    },
    {
      reason: "BigQuery has one type of integers and one of floating-point numbers",
      tests: [
        "evolve widens float32 to float64 and takes the narrow type afterwards",
        "evolve widens int32 to int64 and takes the narrow type afterwards",
        "what becomes of a stream's other columns is told once, also by a later attempt",
      ],
    },
    {
      reason: "no version of Downbeat has made dead letters without ids in BigQuery",
      tests: ["dead letters of earlier versions get ids"],
    },
    {
      reason: "BigQuery's names have no quotes",
      tests: ["names with capitals, quotes, spaces, Unicode and reserved words are kept"],
    },
  ],
);
