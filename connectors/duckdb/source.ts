// DuckDB's source role: tables, views and queries, by key where there is one, from a cursor where the task names one.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, Column } from "../batch.ts";
import type { ConnectorContext, Source, StreamInfo, StreamRequest } from "../connector.ts";
import { describeQuery, readResult } from "../lib/duckdb-decode.ts";
import type { SharedDuckdb } from "../lib/duckdb-instance.ts";
import { keysetClause, lookBack, orderColumns } from "../lib/keyset.ts";
import { quoteIdentifier, quoteName, splitName } from "../lib/load/names.ts";
import { duckdbError } from "./errors.ts";
import { withoutSemicolon } from "./warehouse.ts";

type Share = () => Promise<SharedDuckdb>;
type Request = Omit<StreamRequest, "bounds">;

interface Position {
  readonly values: readonly string[];
}

const relationOf = ({ stream, query }: Pick<StreamRequest, "stream" | "query">): string =>
  query === undefined ? quoteName(stream) : `(${withoutSemicolon(query)})`;

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

export const createDuckdbSource = (share: Share, what: string, { signal }: ConnectorContext): Source => {
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

    bounds: (request) =>
      withConnection(async (connection) => {
        const { cursor } = request;
        if (cursor === undefined) return null;
        await describe(connection, request);
        const column = quoteIdentifier(cursor);
        const reader = await connection.runAndReadAll(
          `select cast(max(${column}) as varchar) as most, count(*) - count(${column}) as nulls from ${relationOf(request)}`,
        );
        const row = reader.getRowObjectsJson()[0];
        const nulls = Number(row?.["nulls"] ?? 0);
        if (nulls > 0)
          throw new DownbeatError("CURSOR_NULL", `${request.stream}: ${nulls} rows have no ${cursor}; fill it, or choose another cursor`);
        const most = row?.["most"];
        return typeof most === "string" ? most : null;
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
        const keys = order.map((name, place) => `, cast(${quoteIdentifier(name)} as varchar) as ${KEY_PREFIX}${place}`).join("");
        const sql = `select ${selection(request)}${keys} from ${relationOf(request)}${clause.where}${clause.orderBy}`;
        const { columns, select } = await describeQuery(connection, sql);
        await connection.run("set preserve_insertion_order = true");
        const result = await connection.stream(select, clause.params.length === 0 ? undefined : [...clause.params]);
        for await (const batch of readResult(result, columns, signal)) {
          const next = batch.rows === 0 ? request.position : order.length === 0 ? null : { values: lastKey(batch, wanted.length) };
          yield { ...batch, schema: { columns: wanted }, columns: batch.columns.slice(0, wanted.length), position: next };
        }
      } catch (error) {
        throw duckdbError(error, "source", what, signal);
      } finally {
        signal.removeEventListener("abort", interrupt);
        connection.closeSync();
      }
    },
  };
};
