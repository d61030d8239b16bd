// MySQL as a source: consistent snapshots, read in keyset order, straight from the socket into columns.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { type Batch, sizeOf } from "../batch.ts";
import { BATCH_ROWS } from "../lib/batch-builder.ts";
import type { ConnectorContext, Source, StreamInfo, StreamRequest } from "../connector.ts";
import { keysetClause, lookBack } from "../lib/keyset.ts";
import { ServerError, type BinarySession } from "./binary-session.ts";
import { listTables, NO_KEYS, readAllKeys } from "./catalog.ts";
import type { MysqlClient } from "./client.ts";
import { mysqlError } from "./errors.ts";
import { parseStream, quote, quoteStream, streamName } from "./names.ts";
import { planRead, type ReadPlan } from "./plan-read.ts";
import { readBlocks, type Block, type BlockQuery } from "./read-blocks.ts";
import { resultColumn, type ResultColumn } from "./types.ts";

interface Position {
  readonly values: readonly string[];
}

interface Bounds {
  /** Largest cursor when the load began; null = there was none, so there is nothing to read. */
  readonly until: string | null;
}

const SNAPSHOT = [
  "set session transaction isolation level repeatable read",
  "start transaction with consistent snapshot, read only",
] as const;

const BEAT_MS = 1_000;

export const createMysqlSource = (
  connect: () => Promise<MysqlClient>,
  database: string,
  where: string,
  context: ConnectorContext,
): Required<Omit<Source, "reread">> => ({
  discover: () =>
    answered(where, context, async () => {
      await using client = await connect();
      const tables = await listTables(client, database);
      const keys = await readAllKeys(client, database);
      const session = client.takeOver();
      const streams: StreamInfo[] = [];
      for (const table of tables) {
        const columns = await describeTable(session, quoteStream({ database, table }), context);
        const { primary } = keys.get(table) ?? NO_KEYS;
        if (columns !== undefined) {
          streams.push({
            name: streamName(table),
            columns: columns.map(({ column }) => column),
            ...(primary.length === 0 ? {} : { key: primary }),
          });
        }
      }
      return streams;
    }),

  estimateRows: (stream) =>
    answered(where, context, async () => {
      const { database: schema, table } = parseStream(stream, database);
      await using client = await connect();
      const [row] = await client.query(
        "select table_rows as estimate from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, table],
      );
      return row?.["estimate"] === null || row === undefined ? undefined : Number(row["estimate"]);
    }),

  bounds: async (request) => {
    const { cursor, nullCursor } = request;
    if (cursor === undefined) return null;
    const what = `${where}: stream ${request.stream}`;
    return answered(what, context, async (): Promise<Json> => {
      await using client = await connect();
      const plan = await planRead(client, request, database, what);
      if (nullCursor === "fail" && plan.isCursorNullable) await refuseNullCursors(plan, cursor, what);
      return { until: await oneValue(plan.session, `select ${plan.order[0]!.largest} as value from ${plan.relation}`, what) };
    });
  },

  async *read(request) {
    const what = `${where}: stream ${request.stream}`;
    const beat = setInterval(context.progress, BEAT_MS);
    try {
      await using client = await connect();
      for (const statement of SNAPSHOT) await client.query(statement);
      const plan = await planRead(client, request, database, what);
      if (request.cursor !== undefined && request.nullCursor === "dead_letter" && request.newRun && plan.isCursorNullable) {
        yield* nullCursorRows(plan, request, request.cursor, what);
      }
      let hasRows = false;
      let end: readonly string[] | null = null;
      const query = rowsQuery(plan, request, context.batchRows ?? BATCH_ROWS, what);
      for await (const block of readBlocks(plan.session, query)) {
        hasRows ||= block.rows > 0;
        end = block.end;
        yield batchOf(block, plan.visible, block.end === null ? null : { values: block.end });
      }
      if (hasRows && end === null && request.cursor !== undefined) {
        throw new DownbeatError(
          "CURSOR_INVALID",
          `${what}: the last row has no value in ${query.orderNames.join(" or ")}, so a next run could not go on behind it; choose columns without NULL or zero dates`,
        );
      }
    } catch (error) {
      throw mysqlError(error, "source", what, context.signal);
    } finally {
      clearInterval(beat);
    }
  },
});

/** Makes errors ours, and tells the host that a query without an answer yet is no hang. */
const answered = async <Value>(what: string, { progress, signal }: ConnectorContext, work: () => Promise<Value>): Promise<Value> => {
  const beat = setInterval(progress, BEAT_MS);
  try {
    return await work();
  } catch (error) {
    throw mysqlError(error, "source", what, signal);
  } finally {
    clearInterval(beat);
  }
};

/** The columns that can be carried; undefined for a view that has lost what it rests on. */
const describeTable = async (
  session: BinarySession,
  relation: string,
  { log }: ConnectorContext,
): Promise<readonly ResultColumn[] | undefined> => {
  try {
    const statement = await session.prepare(`select * from ${relation}`);
    session.close(statement);
    const columns = statement.columns.map((definition) => resultColumn(definition, { tinyint1: "int", zeroDates: "fail" }));
    return columns.filter((column) => column !== undefined);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    log.warn({ relation, err: error.message }, "left out of discovery");
    return undefined;
  }
};

const plainQuery = (sql: string, what: string): BlockQuery => ({
  sql,
  params: [],
  orderNames: [],
  isUnique: true,
  after: null,
  types: { tinyint1: "int", zeroDates: "null" },
  batchRows: BATCH_ROWS,
  what,
});

/** The only value of a query, as positions have it. */
const oneValue = async (session: BinarySession, sql: string, what: string): Promise<string | null> => {
  let value: string | null = null;
  const name = "value";
  for await (const { end } of readBlocks(session, { ...plainQuery(sql, what), orderNames: [name] })) value = end?.[0] ?? value;
  return value;
};

const refuseNullCursors = async ({ session, relation }: ReadPlan, cursor: string, what: string): Promise<void> => {
  const from = `from ${relation} where ${quote(cursor)} is null`;
  // Most often there is none, which an index tells at once.
  if ((await oneValue(session, `select exists(select 1 ${from}) as value`, what)) === "0") return;
  const count = await oneValue(session, `select count(*) as value ${from}`, what);
  throw new DownbeatError(
    "CURSOR_NULL",
    `${what}: ${count} rows have no ${cursor}; fill it, choose another cursor, or divert them with from.null_cursor: dead_letter`,
    { details: { cursor, rows: count } },
  );
};

async function* nullCursorRows(plan: ReadPlan, request: StreamRequest, cursor: string, what: string): AsyncGenerator<Batch> {
  const query: BlockQuery = {
    ...plainQuery(`select ${plan.selection} from ${plan.relation} where ${quote(cursor)} is null`, what),
    types: plan.types,
    orderNames: plan.order.map(({ name }) => name),
    rejectAll: { code: "CURSOR_NULL", reason: `the cursor column "${cursor}" holds NULL` },
  };
  for await (const block of readBlocks(plan.session, query)) {
    if (block.rejects.length > 0) yield batchOf(block, plan.visible, request.position);
  }
}

const rowsQuery = (plan: ReadPlan, request: StreamRequest, batchRows: number, what: string): BlockQuery => {
  const { order, selection, relation } = plan;
  const position = request.position as Position | null;
  const bounds = request.bounds as Bounds | null;
  const isLookback = request.newRun && (request.lookbackMs ?? 0) > 0 && position !== null;
  const { where, orderBy, params } = keysetClause({
    columns: order.map(({ expression }) => expression),
    placeholder: (column) => order[column]!.placeholder,
    after: position?.values ?? null,
    until: request.cursor === undefined ? undefined : (bounds?.until ?? undefined),
    from: isLookback ? lookBack(position.values[0] ?? "", request.lookbackMs ?? 0) : undefined,
  });
  const isEmpty = request.cursor !== undefined && bounds?.until === null;
  // A query of the user's runs as it is where nothing has to be added: the server need not store its result first.
  const isPlain = request.query !== undefined && selection === "*" && order.length === 0;
  return {
    sql: isPlain ? plan.query : `select ${selection} from ${relation}${isEmpty ? " where 1 = 0" : where}${orderBy}`,
    params: isEmpty ? [] : params,
    orderNames: order.map(({ name }) => name),
    isUnique: plan.isUnique,
    after: position?.values ?? null,
    types: plan.types,
    batchRows,
    what,
  };
};

const schemas = new WeakMap<Block["schema"], Block["schema"]>();

/** Order columns that were not asked for stay behind. */
const batchOf = ({ schema, rows, vectors, rejects }: Block, visible: number, position: Batch["position"]): Batch => {
  const shown = schemas.get(schema) ?? { columns: schema.columns.slice(0, visible) };
  schemas.set(schema, shown);
  const columns = vectors.slice(0, visible);
  const bytes = columns.reduce((sum, vector) => sum + sizeOf(vector), 0);
  return { schema: shown, rows, columns, bytes, position, ...(rejects.length === 0 ? {} : { rejects }) };
};
