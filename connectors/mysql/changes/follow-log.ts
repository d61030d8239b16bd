// Follows a table's changes in the log of the server that is connected to, from a place that it or another one has told.

import { DownbeatError } from "../../../core/errors.ts";
import type { Batch } from "../../batch.ts";
import type { ConnectorContext, StreamRequest } from "../../connector.ts";
import { BATCH_ROWS } from "../../lib/batch-builder.ts";
import { fromRows } from "../../lib/rows.ts";
import { type BinarySession, ServerError } from "../binary-session.ts";
import type { MysqlClient } from "../client.ts";
import { parseStream, quoteStream } from "../names.ts";
import { resultColumn, type ResultColumn, typeOptions, type TypeOptions } from "../types.ts";
import { readCharsets, transcodeFrom } from "./charsets.ts";
import { prepareDump } from "./dump-commands.ts";
import { type LogPlace, PlaceGone } from "./log-place.ts";
import { logServerOf } from "./log-server.ts";
import { readLog } from "./read-log.ts";
import { ANEW, type ServersPlace, waysOf } from "./resume.ts";

export interface FollowOptions {
  readonly connect: () => Promise<MysqlClient>;
  readonly database: string;
  readonly context: ConnectorContext;
  readonly request: StreamRequest;
  readonly start: ServersPlace;
  readonly until: ServersPlace;
  readonly what: string;
}

export interface FollowedBatch {
  readonly batch: Batch;
  /** Undefined: it ends within a transaction. */
  readonly end: ServersPlace | undefined;
  /** Until when it is whole: milliseconds since 1970, by our clock. */
  readonly asOf: number | undefined;
  /** Without rows, behind all others. */
  readonly isLast: boolean;
}

export async function* followLog(options: FollowOptions): AsyncGenerator<FollowedBatch> {
  const { connect, context, database, request, start, until, what } = options;
  const stream = parseStream(request.stream, database);
  const types = typeOptions(request.options);
  const wanted = wantedOf(request);
  for (let tried = 0; ; tried += 1) {
    await using client = await connect();
    const here = await logServerOf(client);
    const ways = waysOf({ here, start, what });
    const way = ways[Math.min(tried, ways.length - 1)]!;
    const placed = (log: LogPlace): ServersPlace => (log === start.log ? start : { server: here.name, log });
    const charsets = await readCharsets(client);
    await prepareDump(client);
    let isFound = false;
    try {
      const { command, ...progress } = await way({ client, here, start, until, what });
      const session = client.takeOver();
      const current = await columnsNow(session, `select * from ${quoteStream(stream)}`, types);
      const reading = readLog(session, command, {
        ...types,
        ...progress,
        stream,
        from: start.log,
        until: until.log,
        current,
        wanted,
        key: request.key ?? [],
        transcode: (collation) => transcodeFrom(charsets.get(collation) ?? "unknown"),
        batchRows: context.batchRows ?? BATCH_ROWS,
        what,
        log: context.log,
      });
      for (;;) {
        const next = await reading.next();
        isFound = true;
        if (next.done === true) {
          const columns = [...current.values()].map(({ column }) => column).filter(({ name }) => wanted?.has(name) !== false);
          const batch = { ...fromRows(columns, [], { position: null }), deleted: new Uint8Array(0) };
          yield { batch, end: placed(next.value), asOf: undefined, isLast: true };
          return;
        }
        const { batch, end } = next.value;
        const asOf = end?.at === undefined ? undefined : end.at * 1_000 - here.aheadMs;
        yield { batch, end: end === undefined ? undefined : placed(end.place), asOf, isLast: false };
      }
    } catch (error) {
      if (isFound || !isGone(error)) throw error;
      if (tried + 1 >= ways.length)
        throw error instanceof PlaceGone ? new DownbeatError("SOURCE_LOG_LOST", `${what}: ${error.message}; ${ANEW}`) : error;
      context.log.warn({ reason: error.message }, "the server's files have no such place; the log is gone on in by GTIDs");
    }
  }
}

/** Such an error of the server means that the file or the place in it is not there, or that it was purged. */
const isGone = (error: unknown): error is Error => error instanceof PlaceGone || (error instanceof ServerError && error.errno === 1236);

const columnsNow = async (session: BinarySession, query: string, types: TypeOptions): Promise<ReadonlyMap<string, ResultColumn>> => {
  const statement = await session.prepare(query);
  session.close(statement);
  const columns = statement.columns.flatMap((definition) => resultColumn(definition, types) ?? []);
  return new Map(columns.map((column) => [column.column.name, column]));
};

const wantedOf = ({ options }: Pick<StreamRequest, "options">): ReadonlySet<string> | undefined => {
  const columns = options["columns"] as readonly string[] | undefined;
  return columns === undefined ? undefined : new Set(columns);
};
