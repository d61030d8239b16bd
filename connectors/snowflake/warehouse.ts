// Snowflake's SQL role: a user's own statements in one transaction, and queries in batches.

import type { Column as SnowflakeColumn } from "snowflake-sdk";
import type { Json } from "../../core/json.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column, ColumnType } from "../batch.ts";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { quoteName } from "../lib/load/names.ts";
import { fromRows, type Row } from "../lib/rows.ts";
import { onlyStatement, parseSql, scalar, sqlWith, type SqlStatement } from "../lib/sql-text.ts";
import type { SnowflakeClient, SnowflakeParam } from "./client.ts";
import { snowflakeError } from "./errors.ts";
import { snowflakeLexis } from "./sql-lexis.ts";

type Params = Readonly<Record<string, Json>>;

/** Rows are JavaScript values here: fewer at a time than columnar sources have. */
const BATCH_ROWS = 10_000;

const bound = (statement: SqlStatement, params: Params): { readonly text: string; readonly values: readonly SnowflakeParam[] } => ({
  text: sqlWith(statement, () => "?"),
  values: statement.names.map((name) => scalar(params[name])),
});

export const createSnowflakeWarehouse = (
  connect: () => Promise<SnowflakeClient>,
  what: string,
  context: ConnectorContext,
): SqlWarehouse => ({
  quote: quoteName,

  async execute(sql, params = {}) {
    const statements = parseSql(sql, params, snowflakeLexis);
    await using client = await connect();
    // A statement alone is its own transaction. Leaving without a commit undoes what was done.
    if (statements.length > 1) await client.run("begin transaction");
    let rowsAffected: number | null = null;
    for (const statement of statements) {
      const { text, values } = bound(statement, params);
      rowsAffected = (await client.run(text, values)).changed;
    }
    if (statements.length > 1) await client.run("commit");
    return { rowsAffected };
  },

  async *query(sql, params = {}) {
    const { text, values } = bound(onlyStatement(parseSql(sql, params, snowflakeLexis)), params);
    await using client = await connect();
    const { columns: shown, rows } = await client.stream(text, values);
    const columns = shown.map(columnOf);
    const readers = shown.map(readerOf);
    let waiting: Row[] = [];
    const batch = (): Batch => {
      const made = fromRows(columns, waiting, { position: null });
      waiting = [];
      const [reject] = made.rejects ?? [];
      if (reject !== undefined) throw new DownbeatError("SQL_FAILED", `${what}: ${reject.where}: ${reject.reason}; cast it in the query`);
      return made;
    };
    let isEmpty = true;
    try {
      for await (const row of rows as AsyncIterable<readonly unknown[]>) {
        waiting.push(Object.fromEntries(columns.map(({ name }, place) => [name, readers[place]!(row[place])])));
        if (waiting.length < BATCH_ROWS) continue;
        isEmpty = false;
        context.progress();
        yield batch();
      }
    } catch (error) {
      throw snowflakeError(error, "sql", what, context.signal);
    }
    if (isEmpty || waiting.length > 0) yield batch();
  },
});

const columnOf = (column: SnowflakeColumn): Column => ({ name: column.getName().toLowerCase(), type: typeOf(column), nullable: true });

/** Digits that surely fit into 64 bits. */
const INT64_DIGITS = 18;

const typeOf = (column: SnowflakeColumn): ColumnType => {
  switch (column.getType()) {
    case "fixed": {
      const [precision, scale] = [column.getPrecision(), column.getScale()];
      if (scale > 0) return { kind: "decimal", precision, scale };
      return precision <= INT64_DIGITS ? { kind: "int64" } : { kind: "decimal", precision, scale: 0 };
    }
    case "real":
      return { kind: "float64" };
    case "boolean":
      return { kind: "bool" };
    case "date":
      return { kind: "date" };
    case "time":
      return { kind: "time" };
    case "timestamp_ntz":
      return { kind: "timestamp" };
    case "timestamp_ltz":
    case "timestamp_tz":
      return { kind: "timestamptz" };
    case "binary":
      return { kind: "binary" };
    case "variant":
    case "object":
    case "array":
    case "map":
      return { kind: "json" };
    default:
      return { kind: "string" };
  }
};

interface Moment extends Date {
  getEpochSeconds(): number;
  getNanoSeconds(): number;
}

/** ISO 8601 to the microsecond. */
const isoOf = (moment: Moment, zone: string): string => {
  const seconds = new Date(moment.getEpochSeconds() * 1_000).toISOString().slice(0, -5);
  const micros = String(Math.trunc(moment.getNanoSeconds() / 1_000)).padStart(6, "0");
  return `${seconds}.${micros}${zone}`;
};

const readerOf = (column: SnowflakeColumn): ((value: unknown) => unknown) => {
  const unlessNull =
    (read: (value: never) => unknown) =>
    (value: unknown): unknown =>
      value === null || value === undefined ? null : read(value as never);
  switch (column.getType()) {
    case "date":
      return unlessNull((value: Date) => value.toISOString().replace(/T.*/, ""));
    case "time":
      return unlessNull((value: string) => value.replace(/(\.\d{6})\d+$/, "$1"));
    case "timestamp_ntz":
      return unlessNull((value: Moment) => isoOf(value, ""));
    case "timestamp_ltz":
    case "timestamp_tz":
      return unlessNull((value: Moment) => isoOf(value, "Z"));
    default:
      return (value) => value ?? null;
  }
};
