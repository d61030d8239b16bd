// A table's changes as a stream: first all of its rows, then what the log tells since before they were read.
// The log's beginning overlaps the rows, which does no harm: a change that is merged again ends as it was. So no lock is needed, and rows can be read in parts.

import { DownbeatError } from "../../../core/errors.ts";
import type { Json } from "../../../core/json.ts";
import type { Batch } from "../../batch.ts";
import type { ConnectorContext, Source, StreamRequest } from "../../connector.ts";
import { readKeys } from "../catalog.ts";
import type { MysqlClient } from "../client.ts";
import { mysqlError } from "../errors.ts";
import { parseStream, type StreamName } from "../names.ts";
import { followLog } from "./follow-log.ts";
import { type LogPlace, requireUsableLog } from "./log-place.ts";
import { currentPlace, gtidsNow, isServer, logServerOf, visiblePlace } from "./log-server.ts";
import { ANEW, requireThere, type ServersGtids, type ServersPlace } from "./resume.ts";

/** Whose log it is: another server's has other files. */
interface OfServer {
  readonly server: string;
}

/** Rows are being read: the log will be followed from `log`. `rows`: the plain source's position; `seen`: what these rows have of the log at most. */
interface RowsPosition extends OfServer {
  readonly log: LogPlace;
  readonly rows: Json;
  readonly seen?: ServersGtids;
}

/** The end of the log as it was at a moment, in milliseconds since 1970; loads that older builds began have none. */
interface LogUntil extends LogPlace {
  readonly asOf?: number;
  /** Who has told it, where that is not the place's server. */
  readonly server?: string;
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
  const endNow = async (client: MysqlClient, what: string, placeOf: typeof currentPlace): Promise<ChangesBounds> => {
    await requireUsableLog(client, what);
    const here = await logServerOf(client);
    const asOf = Date.now();
    return { server: here.name, log: { ...(await placeOf(client, here, what)), asOf } };
  };

  /** All rows, then what was logged from before they were read until now. */
  async function* readRows(request: StreamRequest, start: RowsPosition, what: string): AsyncGenerator<Batch, LogPosition> {
    const { server, log } = start;
    await requireRows(connect, start, what);
    let held: Batch | undefined;
    for await (const batch of rows.read({ ...request, position: start.rows, bounds: null })) {
      if (held !== undefined) yield held;
      const seen = batch.position === null ? undefined : await seenNow(connect);
      const position: RowsPosition | null = batch.position === null ? null : { server, log, rows: batch.position, ...seen };
      held = { ...batch, position: position as Json, deleted: new Uint8Array(batch.rows) };
    }
    await using client = await connect();
    const { server: by, log: until } = await endNow(client, what, currentPlace);
    const end: LogPosition = { server, log, until: { ...until, server: by } };
    // The last rows are in: a later attempt goes on in the log.
    if (held !== undefined) yield { ...held, position: end as unknown as Json };
    return end;
  }

  async function* readChanges(request: StreamRequest, start: LogPosition, bounds: ChangesBounds, what: string): AsyncGenerator<Batch> {
    const { asOf, server: untilOf, ...log } = start.until ?? bounds.log;
    const until: ServersPlace = { server: untilOf ?? (start.until === undefined ? bounds.server : start.server), log };
    const kept = start.until === undefined ? {} : { until: { ...start.until, server: until.server } };
    const from: ServersPlace = { server: start.server, log: start.log };
    for await (const { batch, end, asOf: batchAsOf, isLast } of followLog({
      connect,
      database,
      context,
      request,
      start: from,
      until,
      what,
    })) {
      // The last one carries the place where the load ends, also one that has brought nothing.
      const position = end === undefined ? null : { ...end, ...(isLast ? {} : kept) };
      const moment = isLast ? asOf : batchAsOf;
      yield { ...batch, position: position as unknown as Json, ...(moment === undefined ? {} : { asOf: moment }) };
    }
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
        // Rows that are read next have to have all that lies before the place.
        return (await endNow(client, what, request.position === null ? visiblePlace : currentPlace)) as unknown as Json;
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

/** Asked behind a batch: it has nothing that is not among these. */
const seenNow = async (connect: ChangesOptions["connect"]): Promise<Pick<RowsPosition, "seen">> => {
  await using client = await connect();
  const here = await logServerOf(client);
  return here.hasGtids ? { seen: { server: here.name, gtids: await gtidsNow(client, here) } } : {};
};

/** Rows of this server have to have all that lies before the place from which the log will be followed, and all that rows which another server has given have. */
const requireRows = async (connect: ChangesOptions["connect"], { server, log, seen }: RowsPosition, what: string): Promise<void> => {
  await using client = await connect();
  const here = await logServerOf(client);
  if (log.gtids === undefined && !isServer(here, server)) {
    throw new DownbeatError(
      "SOURCE_LOG_LOST",
      `${what}: the load was begun on server ${server}, and this is ${here.name}, which without GTIDs cannot go on for it; ${ANEW}`,
    );
  }
  if (log.gtids !== undefined) await requireThere(client, here, { server, gtids: log.gtids }, what);
  if (seen !== undefined) await requireThere(client, here, seen, what);
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
