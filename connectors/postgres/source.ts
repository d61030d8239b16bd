// PostgreSQL's source role: tables, views and queries; by key where there is one, from a cursor column where the task names one.

import type { Batch, Column, Position, Reject } from "../batch.ts";
import type { ConnectorContext, Source, StreamInfo, StreamRequest } from "../connector.ts";
import { BatchBuilder } from "../lib/batch-builder.ts";
import { isResumable, keysetClause, lookBack, orderColumns } from "../lib/keyset.ts";
import { quoteIdentifier, quoteTable, splitName } from "../lib/load/names.ts";
import { filtered } from "../lib/table-options.ts";
import { queryAsTable } from "../lib/sql-text.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { connectPostgres, type PostgresClient, type PostgresConfig } from "./client.ts";
import { postgresError } from "./errors.ts";
import { readColumns, type ReadColumn } from "./read-types.ts";
import { readCursor } from "./read.ts";

type Request = Omit<StreamRequest, "bounds">;

/** The values of cursor and key in the last row, as text. */
interface KeysetPosition {
  readonly values: readonly string[];
}

interface Stream {
  /** A table's quoted name, or the query in parentheses. */
  readonly relation: string;
  readonly columns: readonly ReadColumn[];
  /** Cursor first, then key. */
  readonly order: readonly string[];
}

const REJECTS_AT_ONCE = 10_000;

const tableOf = (stream: string): { readonly schema: string; readonly name: string } => {
  const parts = splitName(stream) ?? [];
  const [first, second] = parts;
  if (first === undefined || parts.length > 2) {
    throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `"${stream}" is not a table name; write "table" or "schema.table"`);
  }
  return second === undefined ? { schema: "public", name: first } : { schema: first, name: second };
};

const primaryKey = async ({ driver }: PostgresClient, stream: string): Promise<readonly string[]> => {
  const { rows } = await driver.query<{ readonly name: string }>(
    `select a.attname as name from pg_index i
       cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = to_regclass($1) and i.indisprimary order by k.place`,
    [quoteTable(tableOf(stream))],
  );
  return rows.map(({ name }) => name);
};

const describe = async (client: PostgresClient, request: Request): Promise<Stream> => {
  const { query, stream } = request;
  const table = query === undefined ? quoteTable(tableOf(stream)) : undefined;
  if (table !== undefined) {
    const { rows } = await client.driver.query<{ readonly found: boolean }>("select to_regclass($1) is not null as found", [table]);
    if (rows[0]?.found !== true) {
      throw new DownbeatError(
        "SOURCE_STREAM_NOT_FOUND",
        `there is no table or view ${table} that this user may see; discover lists what there is`,
      );
    }
  }
  const relation = filtered(table ?? queryAsTable(query ?? ""), request);
  const wanted = request.options["columns"] as readonly string[] | undefined;
  const selected = wanted === undefined ? "*" : wanted.map(quoteIdentifier).join(", ");
  const { fields } = await client.driver.query(`select ${selected} from ${relation} as q limit 0`);
  const columns = await readColumns(client.driver, fields);
  const key = request.key ?? (query === undefined ? await primaryKey(client, stream) : []);
  const order = orderColumns(
    request,
    key,
    columns.map(({ column }) => column),
  );
  return { relation, columns, order };
};

/** NULL equals nothing: rows without a key would be lost between two batches, rows without a cursor value between two runs. */
const refuseNulls = async ({ driver }: PostgresClient, { relation, order }: Stream, request: Request): Promise<string | null> => {
  const { cursor, stream, nullCursor } = request;
  const columns = order.map(quoteIdentifier);
  const nulls = columns.map((column, place) => `count(*) - count(${column}) as n${place}`).join(", ");
  const upper = cursor === undefined ? "null" : `max(${columns[0]})`;
  const { rows } = await driver.query<Record<string, string | null>>(`select (${upper})::text as upper, ${nulls} from ${relation} as q`);
  const faulty = order.findIndex((name, place) => Number(rows[0]?.[`n${place}`]) > 0 && !(name === cursor && nullCursor === "dead_letter"));
  if (faulty < 0) return rows[0]?.["upper"] ?? null;
  const count = rows[0]?.[`n${faulty}`];
  throw new DownbeatError(
    order[faulty] === cursor ? "CURSOR_NULL" : "CURSOR_INVALID",
    `${stream}: ${count} rows have NULL in ${order[faulty]}; fill them, leave them out with a query, or choose another ${order[faulty] === cursor ? "cursor (or null_cursor: dead_letter)" : "key"}`,
    { details: { column: order[faulty], rows: Number(count) } },
  );
};

export const createPostgresSource = (config: PostgresConfig, context: ConnectorContext, what: string): Source => {
  const { signal } = context;
  const connected = async <T>(run: (client: PostgresClient) => Promise<T>): Promise<T> => {
    await using client = await connectPostgres(config, context, "source", what);
    try {
      return await run(client);
    } catch (error) {
      throw postgresError(error, "source", what, signal);
    }
  };
  return {
    discover: () => connected(discover),
    estimateRows: (stream) =>
      connected(async ({ driver }) => {
        const { rows } = await driver.query<{ readonly estimate: string }>(
          "select reltuples::bigint::text as estimate from pg_class where oid = to_regclass($1) and relkind in ('r', 'm') and reltuples >= 0",
          [quoteTable(tableOf(stream))],
        );
        return rows[0] === undefined ? undefined : Number(rows[0].estimate);
      }),
    bounds: (request) =>
      connected(async (client): Promise<Json> => {
        if (request.cursor === undefined && request.key === undefined) return null;
        return refuseNulls(client, await describe(client, request), request);
      }),
    async *read(request) {
      await using client = await connectPostgres(config, context, "source", what);
      try {
        // One snapshot for all that is read, and nothing of it changes anything.
        await client.driver.query("begin isolation level repeatable read read only");
        yield* readStream(client, request, context);
      } catch (error) {
        throw postgresError(error, "source", what, signal);
      }
    },
  };
};

async function* readStream(client: PostgresClient, request: StreamRequest, context: ConnectorContext): AsyncGenerator<Batch> {
  const stream = await describe(client, request);
  const { relation, columns, order } = stream;
  const names = columns.map(({ column }) => quoteIdentifier(column.name));
  const after = request.position as KeysetPosition | null;
  const isLookback = request.newRun && (request.lookbackMs ?? 0) > 0 && after !== null;
  const resumable = isResumable(request, order);
  const typeOf = (place: number): string => columns.find(({ column }) => column.name === order[place])!.sqlType;
  const clause = keysetClause({
    // Qualified: ORDER BY takes a bare name for that of a selected column, here of its text.
    columns: order.map((name) => `q.${quoteIdentifier(name)}`),
    placeholder: (place, parameter) => `$${parameter}::${typeOf(place)}`,
    after: after?.values ?? null,
    until: request.cursor !== undefined && typeof request.bounds === "string" ? request.bounds : undefined,
    from: isLookback ? lookBack((after.values[0] ?? "").replace(/\+00$/, "Z"), request.lookbackMs ?? 0) : undefined,
  });
  const selected = columns.map(({ select }, place) => `${select(names[place]!)} as c${place}`);
  const keys = resumable ? order.map((name) => `${quoteIdentifier(name)}::text`) : [];
  if (request.cursor !== undefined && request.nullCursor === "dead_letter" && request.newRun)
    yield await nullCursors(client, stream, request);
  const batches = readCursor(
    client.driver,
    {
      sql: `select ${[...selected, ...keys].join(", ")} from ${relation} as q${clause.where}${clause.orderBy}`,
      params: clause.params,
      columns: columns.map(({ column }) => column),
      positionOf: (values): Position | null => (resumable ? { values } : null),
    },
    context,
  );
  if (resumable) {
    for await (const batch of batches)
      yield batch.rows === 0 && batch.rejects === undefined ? { ...batch, position: request.position } : batch;
    return;
  }
  // Without a key only the end is a place to go on from: behind the upper bound.
  const end: Position | null =
    request.cursor === undefined ? null : typeof request.bounds === "string" ? { values: [request.bounds] } : request.position;
  let held: Batch | undefined;
  for await (const batch of batches) {
    if (held !== undefined) yield held;
    held = batch;
  }
  if (held !== undefined) yield { ...held, position: end };
}

/** Rows that no cursor value puts anywhere: rejected once a run, in front. */
const nullCursors = async ({ driver }: PostgresClient, { relation, columns }: Stream, request: StreamRequest): Promise<Batch> => {
  const cursor = quoteIdentifier(request.cursor ?? "");
  const { rows } = await driver.query<{ readonly raw: string }>(
    `select to_json(q)::text as raw from ${relation} as q where ${cursor} is null limit ${REJECTS_AT_ONCE}`,
  );
  const rejects = rows.map(
    ({ raw }, place): Reject => ({
      where: `row ${place + 1} of those without ${request.cursor}`,
      code: "CURSOR_NULL",
      reason: `${request.cursor} is NULL`,
      raw: raw.slice(0, 64 * 1024),
    }),
  );
  const schema = { columns: columns.map(({ column }): Column => column) };
  return new BatchBuilder(schema).take(null, { rejects });
};

const discover = async (client: PostgresClient): Promise<readonly StreamInfo[]> => {
  const { rows } = await client.driver.query<{ readonly schema: string; readonly name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', '_downbeat')
       and n.nspname !~ '^pg_(toast|temp)' and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
     order by 1, 2`,
  );
  const streams: StreamInfo[] = [];
  for (const row of rows) {
    const name = [row.schema, row.name].map((part) => (/^\w+$/.test(part) ? part : quoteIdentifier(part))).join(".");
    const { fields } = await client.driver.query(`select * from ${quoteTable(row)} limit 0`);
    const key = await primaryKey(client, name);
    const columns = (await discoveredColumns(client, fields)).map(({ column }) => column);
    streams.push({ name, columns, ...(key.length === 0 ? {} : { key }) });
  }
  return streams;
};

/** A column that cannot be read must not hide its table: it is left out of what is discovered. */
const discoveredColumns = async (client: PostgresClient, fields: Parameters<typeof readColumns>[1]): Promise<readonly ReadColumn[]> => {
  try {
    return await readColumns(client.driver, fields);
  } catch (error) {
    if (!(error instanceof DownbeatError) || error.details?.["column"] === undefined) throw error;
    const refused = error.details["column"];
    return discoveredColumns(
      client,
      fields.filter(({ name }) => name !== refused),
    );
  }
};
