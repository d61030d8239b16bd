// DuckDB's source role: tables, views and queries, by key where there is one, from a cursor where the task names one.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch, Column, Reject } from "../batch.ts";
import type { ConnectorContext, Source, StreamInfo, StreamRequest } from "../connector.ts";
import { BatchBuilder } from "../lib/batch-builder.ts";
import { describeQuery, readResult } from "../lib/duckdb-decode.ts";
import type { SharedDuckdb } from "../lib/duckdb-instance.ts";
import { isResumable, keysetClause, lookBack, orderColumns } from "../lib/keyset.ts";
import { quoteIdentifier, quoteName, splitName } from "../lib/load/names.ts";
import { filtered } from "../lib/table-options.ts";
import { rawText } from "../lib/rows.ts";
import { queryAsTable } from "../lib/sql-text.ts";
import { duckdbError } from "./errors.ts";

type Share = () => Promise<SharedDuckdb>;
type Request = Omit<StreamRequest, "bounds">;

interface Position {
  readonly values: readonly string[];
}

const relationOf = (request: Pick<StreamRequest, "stream" | "query" | "options">): string =>
  filtered(request.query === undefined ? quoteName(request.stream) : queryAsTable(request.query), request);

const selection = ({ options }: Pick<StreamRequest, "options">): string => {
  const columns = options["columns"] as readonly string[] | undefined;
  return columns === undefined ? "*" : columns.map(quoteIdentifier).join(", ");
};

const describe = async (connection: DuckDBConnection, request: Request): Promise<readonly Column[]> => {
  try {
    return (await describeQuery(connection, `select ${selection(request)} from ${relationOf(request)}`)).columns;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (request.query === undefined && /Table with name .* does not exist|Catalog Error.*does not exist/s.test(message)) {
      throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `there is no table or view "${request.stream}"; discover lists what there is`, {
        cause: error,
      });
    }
    throw error;
  }
};

const primaryKey = async (
  connection: DuckDBConnection,
  request: Pick<StreamRequest, "stream" | "query" | "key">,
): Promise<readonly string[]> => {
  if (request.key !== undefined) return request.key;
  if (request.query !== undefined) return [];
  const parts = splitName(request.stream) ?? [request.stream];
  const [schema, table] = parts.length > 1 ? parts.slice(-2) : ["main", parts[0]];
  const reader = await connection.runAndReadAll(
    "select constraint_column_names as names from duckdb_constraints() where constraint_type = 'PRIMARY KEY' and schema_name = $1 and table_name = $2",
    [schema ?? "", table ?? ""],
  );
  const names = reader.getRowObjectsJson()[0]?.["names"];
  return Array.isArray(names) ? names.map(String) : [];
};

const KEY_PREFIX = "_downbeat_key_";

/** The last row's key values, which the query carries as text behind its own columns. */
const lastKey = (batch: Batch, from: number): readonly string[] =>
  batch.columns.slice(from).map((vector) => {
    if (vector.layout !== "text") return "";
    return Buffer.from(vector.data.subarray(vector.offsets[batch.rows - 1], vector.offsets[batch.rows])).toString("utf8");
  });

/** NULL equals nothing: rows without a key would be lost between two batches, rows without a cursor value between two runs. */
const refuseNulls = async (connection: DuckDBConnection, request: Request, order: readonly string[]): Promise<string | null> => {
  const { cursor, stream, nullCursor } = request;
  const columns = order.map(quoteIdentifier);
  const nulls = columns.map((column, place) => `count(*) - count(${column}) as n${place}`).join(", ");
  const upper = cursor === undefined ? "null" : `max(${columns[0]})`;
  const reader = await connection.runAndReadAll(`select cast(${upper} as varchar) as most, ${nulls} from ${relationOf(request)}`);
  const row = reader.getRowObjectsJson()[0] ?? {};
  const faulty = order.findIndex((name, place) => Number(row[`n${place}`]) > 0 && !(name === cursor && nullCursor === "dead_letter"));
  if (faulty < 0) return typeof row["most"] === "string" ? row["most"] : null;
  const isCursor = order[faulty] === cursor;
  const rows = Number(row[`n${faulty}`]);
  throw new DownbeatError(
    isCursor ? "CURSOR_NULL" : "CURSOR_INVALID",
    `${stream}: ${rows} rows have NULL in ${order[faulty]}; fill them, leave them out with a query, or choose another ${isCursor ? "cursor (or null_cursor: dead_letter)" : "key"}`,
    { details: { column: order[faulty], rows } },
  );
};

const REJECTS_AT_ONCE = 10_000;

/** Rows that no cursor value puts anywhere: rejected once a run, in front. */
const nullCursors = async (connection: DuckDBConnection, request: StreamRequest, columns: readonly Column[]): Promise<Batch> => {
  const { cursor = "" } = request;
  const reader = await connection.runAndReadAll(
    `select cast(to_json(q) as varchar) as raw from ${relationOf(request)} as q where ${quoteIdentifier(cursor)} is null limit ${REJECTS_AT_ONCE}`,
  );
  const rejects = reader.getRowObjectsJson().map(
    ({ raw }, place): Reject => ({
      where: `row ${place + 1} of those without ${cursor}`,
      code: "CURSOR_NULL",
      reason: `${cursor} is NULL`,
      raw: rawText(raw),
    }),
  );
  return new BatchBuilder({ columns }).take(null, { rejects });
};

export const createDuckdbSource = (share: Share, what: string, context: ConnectorContext): Source => {
  const { signal } = context;
  const withConnection = async <Value>(work: (connection: DuckDBConnection) => Promise<Value>): Promise<Value> => {
    const connection = await (await share()).connect();
    try {
      return await work(connection);
    } catch (error) {
      throw duckdbError(error, "source", what, signal);
    } finally {
      connection.closeSync();
    }
  };

  return {
    discover: () =>
      withConnection(async (connection) => {
        const reader = await connection.runAndReadAll(
          `select schema_name as schema, table_name as name from duckdb_tables() where not internal and schema_name <> '_downbeat'
           union all select schema_name, view_name from duckdb_views() where not internal order by 1, 2`,
        );
        const streams: StreamInfo[] = [];
        for (const row of reader.getRowObjectsJson()) {
          const name = [row["schema"], row["name"]]
            .map((part) => (/^\w+$/.test(String(part)) ? String(part) : quoteIdentifier(String(part))))
            .join(".");
          const { columns } = await describeQuery(connection, `select * from ${quoteName(name)}`);
          const key = await primaryKey(connection, { stream: name });
          streams.push({ name, columns, ...(key.length === 0 ? {} : { key }) });
        }
        return streams;
      }),

    estimateRows: (stream) =>
      withConnection(async (connection) => {
        const [name, schema = "main"] = (splitName(stream) ?? [stream]).toReversed();
        const reader = await connection.runAndReadAll(
          "select estimated_size as estimate from duckdb_tables() where lower(schema_name) = lower($1) and lower(table_name) = lower($2)",
          [schema, name ?? ""],
        );
        const estimate = reader.getRowObjectsJson()[0]?.["estimate"];
        return estimate === undefined || estimate === null ? undefined : Number(estimate);
      }),

    bounds: (request) =>
      withConnection(async (connection) => {
        if (request.cursor === undefined && request.key === undefined) return null;
        const columns = await describe(connection, request);
        return refuseNulls(connection, request, orderColumns(request, await primaryKey(connection, request), columns));
      }),

    async *read(request) {
      const connection = await (await share()).connect();
      const interrupt = (): void => connection.interrupt();
      signal.addEventListener("abort", interrupt);
      try {
        const wanted = await describe(connection, request);
        const order = orderColumns(request, await primaryKey(connection, request), wanted);
        const position = request.position as Position | null;
        const isLookback = request.newRun && (request.lookbackMs ?? 0) > 0 && position !== null;
        const clause = keysetClause({
          columns: order.map(quoteIdentifier),
          placeholder: (_column, parameter) => `$${parameter}`,
          after: position?.values ?? null,
          until: request.cursor !== undefined && typeof request.bounds === "string" ? request.bounds : undefined,
          from: isLookback ? lookBack(position.values[0] ?? "", request.lookbackMs ?? 0) : undefined,
        });
        const resumable = isResumable(request, order);
        if (request.cursor !== undefined && request.nullCursor === "dead_letter" && request.newRun) {
          yield await nullCursors(connection, request, wanted);
        }
        const keys = (resumable ? order : [])
          .map((name, place) => `, cast(${quoteIdentifier(name)} as varchar) as ${KEY_PREFIX}${place}`)
          .join("");
        const sql = `select ${selection(request)}${keys} from ${relationOf(request)}${clause.where}${clause.orderBy}`;
        const { columns, select } = await describeQuery(connection, sql);
        await connection.run("set preserve_insertion_order = true");
        const result = await connection.stream(select, clause.params.length === 0 ? undefined : [...clause.params]);
        const bare = (batch: Batch, next: Position | Json): Batch => ({
          ...batch,
          schema: { columns: wanted },
          columns: batch.columns.slice(0, wanted.length),
          position: next as Json,
        });
        // Without a key only the end is a place to go on from: behind the upper bound.
        const atEnd =
          request.cursor === undefined ? null : typeof request.bounds === "string" ? { values: [request.bounds] } : request.position;
        let held: Batch | undefined;
        for await (const batch of readResult(result, columns, context)) {
          if (resumable) yield bare(batch, batch.rows === 0 ? request.position : { values: lastKey(batch, wanted.length) });
          else {
            if (held !== undefined) yield bare(held, null);
            held = batch;
          }
        }
        if (held !== undefined) yield bare(held, atEnd);
      } catch (error) {
        throw duckdbError(error, "source", what, signal);
      } finally {
        signal.removeEventListener("abort", interrupt);
        connection.closeSync();
      }
    },
  };
};
