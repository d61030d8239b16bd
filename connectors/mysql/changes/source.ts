// A table's changes as a stream: first all of its rows, then what the log tells since before they were read.
// The log's beginning overlaps the rows, which does no harm: a change that is merged again ends as it was. So no lock is needed, and rows can be read in parts.

import { DownbeatError } from "../../../core/errors.ts";
import type { Json } from "../../../core/json.ts";
import type { Batch } from "../../batch.ts";
import type { ConnectorContext, Source, StreamRequest } from "../../connector.ts";
import { BATCH_ROWS } from "../../lib/batch-builder.ts";
import { fromRows } from "../../lib/rows.ts";
import { readKeys } from "../catalog.ts";
import type { MysqlClient } from "../client.ts";
import { mysqlError } from "../errors.ts";
import { parseStream, quoteStream, type StreamName } from "../names.ts";
import { resultColumn, type ResultColumn, typeOptions, type TypeOptions } from "../types.ts";
import { readCharsets, transcodeFrom } from "./charsets.ts";
import { currentPlace, type LogPlace, requireUsableLog } from "./log-place.ts";
import { LOG_SETTINGS, readLog } from "./read-log.ts";

/** Whose log it is: another server's has other places. */
interface OfServer {
  readonly server: string;
}

/** Rows are being read: the log will be followed from `log`. `rows`: the plain source's position. */
interface RowsPosition extends OfServer {
  readonly log: LogPlace;
  readonly rows: Json;
}

/** The end of the log as it was at a moment, in milliseconds since 1970; loads that older builds began have none. */
interface LogUntil extends LogPlace {
  readonly asOf?: number;
}

/** `until`: where the first load ends, which is fixed only when its rows have been read. */
interface LogPosition extends OfServer {
  readonly log: LogPlace;
  readonly until?: LogUntil;
}

type ChangesPosition = RowsPosition | LogPosition;

interface ChangesBounds extends OfServer {
  /** The end of the log when the load began. */
  readonly log: LogUntil;
}

const BEAT_MS = 1_000;

export interface ChangesOptions {
  readonly connect: () => Promise<MysqlClient>;
  readonly database: string;
  readonly where: string;
  readonly context: ConnectorContext;
  /** Reads the rows as they are. */
  readonly rows: Pick<Source, "read">;
}

export const createChangesSource = (options: ChangesOptions): Required<Pick<Source, "bounds" | "read">> => {
  const { connect, database, where, context, rows } = options;
  const placeNow = async (client: MysqlClient, what: string): Promise<ChangesBounds> => {
    await requireUsableLog(client, what);
    const { server } = await serverOf(client);
    const asOf = Date.now();
    return { server, log: { ...(await currentPlace(client, what)), asOf } };
  };

  /** All rows, then what was logged from before they were read until now. */
  async function* readRows(request: StreamRequest, start: RowsPosition, what: string): AsyncGenerator<Batch, LogPosition> {
    const { server, log } = start;
    let held: Batch | undefined;
    for await (const batch of rows.read({ ...request, position: start.rows, bounds: null })) {
      if (held !== undefined) yield held;
      const position: RowsPosition | null = batch.position === null ? null : { server, log, rows: batch.position };
      held = { ...batch, position: position as Json, deleted: new Uint8Array(batch.rows) };
    }
    await using client = await connect();
    const end: LogPosition = { server, log, until: (await placeNow(client, what)).log };
    // The last rows are in: a later attempt goes on in the log.
    if (held !== undefined) yield { ...held, position: end as unknown as Json };
    return end;
  }

  async function* readChanges(request: StreamRequest, start: LogPosition, bounds: ChangesBounds, what: string): AsyncGenerator<Batch> {
    const until = start.until ?? bounds.log;
    await using client = await connect();
    const { server } = start;
    const here = await serverOf(client);
    if (here.server !== server) {
      throw new DownbeatError(
        "SOURCE_LOG_LOST",
        `${what}: the last load followed the log of server ${server}, and this is ${here.server}; empty the destination's table and start the load anew`,
      );
    }
    const stream = parseStream(request.stream, database);
    const charsets = await readCharsets(client);
    for (const statement of LOG_SETTINGS) await client.query(statement);
    const session = client.takeOver();
    const types = typeOptions(request.options);
    const current = await columnsNow(session, stream, types);
    const batches = readLog(session, {
      ...types,
      stream,
      from: start.log,
      until,
      current,
      wanted: wantedOf(request),
      key: request.key ?? [],
      transcode: (collation) => transcodeFrom(charsets.get(collation) ?? "unknown"),
      batchRows: context.batchRows ?? BATCH_ROWS,
      what,
      log: context.log,
    });
    for await (const { batch, end } of batches) {
      const position: LogPosition | null =
        end === undefined ? null : { server, log: end.place, ...(start.until === undefined ? {} : { until: start.until }) };
      const asOf = end?.at === undefined ? {} : { asOf: end.at * 1_000 - here.aheadMs };
      yield { ...batch, position: position as unknown as Json, ...asOf };
    }
    // Carries the place where the load ends, also one that has brought nothing.
    const { asOf, ...log } = until;
    const end: LogPosition = { server, log };
    const columns = [...current.values()].map(({ column }) => column).filter(({ name }) => wantedOf(request)?.has(name) !== false);
    const last = fromRows(columns, [], { position: end as unknown as Json });
    yield { ...last, deleted: new Uint8Array(0), ...(asOf === undefined ? {} : { asOf }) };
  }

  const guarded = async function* (request: StreamRequest, batches: () => AsyncGenerator<Batch>): AsyncGenerator<Batch> {
    const beat = setInterval(context.progress, BEAT_MS);
    try {
      yield* batches();
    } catch (error) {
      throw mysqlError(error, "source", whatOf(request, where), context.signal);
    } finally {
      clearInterval(beat);
    }
  };

  return {
    bounds: async (request) => {
      const what = whatOf(request, where);
      refuseForeignOptions(request, what);
      try {
        await using client = await connect();
        await requireKey(client, request, parseStream(request.stream, database), what);
        return (await placeNow(client, what)) as unknown as Json;
      } catch (error) {
        throw mysqlError(error, "source", what, context.signal);
      }
    },

    read: (request) =>
      guarded(request, async function* () {
        const what = whatOf(request, where);
        const bounds = request.bounds as unknown as ChangesBounds;
        const position = positionOf(request, bounds, what);
        if ("rows" in position) yield* readChanges(request, yield* readRows(request, position, what), bounds, what);
        else {
          const { server, log } = position;
          // A first load that is resumed goes on to its own end; a new run goes to the end as it is now.
          yield* readChanges(request, request.newRun ? { server, log } : position, bounds, what);
        }
      }),
  };
};

const positionOf = ({ position }: StreamRequest, bounds: ChangesBounds, what: string): ChangesPosition => {
  if (position === null) return { ...bounds, rows: null };
  if (typeof position === "object" && "log" in position) return position as unknown as ChangesPosition;
  throw new DownbeatError(
    "CURSOR_INVALID",
    `${what}: earlier loads of this task went by a cursor column, not by changes; give the task another id, or delete its cursor and empty the table`,
  );
};

const whatOf = ({ stream }: Pick<StreamRequest, "stream">, where: string): string => `${where}: changes of ${stream}`;

const refuseForeignOptions = ({ query, cursor, options }: Pick<StreamRequest, "query" | "cursor" | "options">, what: string): void => {
  if (options["where"] !== undefined) {
    const message = `${what}: the log tells of all changes, which from.where cannot choose from; leave it out, and choose from the table`;
    throw new DownbeatError("SOURCE_OPTIONS_INVALID", message);
  }
  if (query !== undefined) throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${what}: changes are followed of a stream, not of a query`);
  if (cursor !== undefined)
    throw new DownbeatError("CURSOR_INVALID", `${what}: changes go on from their place in the log; leave cursor out`);
};

/** Without one, rows could not be told apart; parts of the table could not be read one after the other either. */
const requireKey = async (client: MysqlClient, { key }: Pick<StreamRequest, "key">, stream: StreamName, what: string): Promise<void> => {
  const { primary } = await readKeys(client, stream);
  if (primary.length > 0 || key !== undefined) return;
  throw new DownbeatError(
    "SOURCE_OPTIONS_INVALID",
    `${what}: the table has no primary key, or there is no such table; give it one, or name columns that tell its rows apart with from.key`,
  );
};

/** Its number, which servers of a replication have different ones of, and how far its clock is ahead of ours. */
const serverOf = async (client: MysqlClient): Promise<{ readonly server: string; readonly aheadMs: number }> => {
  const [row] = await client.query("select @@server_id as id, unix_timestamp(now(6)) as seconds");
  return { server: String(row?.["id"]), aheadMs: Number(row?.["seconds"]) * 1_000 - Date.now() };
};

const columnsNow = async (
  session: ReturnType<MysqlClient["takeOver"]>,
  stream: StreamName,
  types: TypeOptions,
): Promise<ReadonlyMap<string, ResultColumn>> => {
  const statement = await session.prepare(`select * from ${quoteStream(stream)}`);
  session.close(statement);
  const columns = statement.columns.flatMap((definition) => resultColumn(definition, types) ?? []);
  return new Map(columns.map((column) => [column.column.name, column]));
};

const wantedOf = ({ options }: StreamRequest): ReadonlySet<string> | undefined => {
  const columns = options["columns"] as readonly string[] | undefined;
  return columns === undefined ? undefined : new Set(columns);
};
