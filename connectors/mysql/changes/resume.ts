// How the log of this server is gone on in from a place that this server or another one has told: by file and offset, or by GTIDs.

import { DownbeatError } from "../../../core/errors.ts";
import type { MysqlClient } from "../client.ts";
import { dumpBehind, dumpFrom, LARGEST_OFFSET } from "./dump-commands.ts";
import type { GtidPosition } from "./gtids/position.ts";
import { isBefore, type LogPlace, PlaceGone } from "./log-place.ts";
import type { ProgressOptions } from "./log-progress.ts";
import { currentPlace, isServer, type LogServer, parsePosition, transactionsOf } from "./log-server.ts";

/** A place, and the server that has told it. */
export interface ServersPlace {
  readonly server: string;
  readonly log: LogPlace;
}

export interface ResumeOptions {
  readonly client: MysqlClient;
  readonly here: LogServer;
  readonly start: ServersPlace;
  readonly until: ServersPlace;
  readonly what: string;
}

interface Resumption extends Pick<ProgressOptions, "isFromHere" | "gtids" | "end"> {
  readonly command: Buffer;
}

type Way = (options: ResumeOptions) => Promise<Resumption>;

/** Ways to try, one after the other where the server's files do not have the place. */
export const waysOf = ({ here, start, what }: Pick<ResumeOptions, "here" | "start" | "what">): readonly Way[] => {
  const { made, gtids } = start.log;
  if (!isServer(here, start.server)) {
    if (gtids !== undefined) return [byGtids];
    throw new DownbeatError(
      "SOURCE_LOG_LOST",
      `${what}: the last load followed the log of server ${start.server}, and this is ${here.name}; its place has no GTIDs, by which another server could be gone on with; ${ANEW}`,
    );
  }
  if (gtids === undefined || !here.hasGtids) return [byFile];
  // Beyond what can be asked for, the file would come from its beginning, and old rows with it.
  if (start.log.offset > LARGEST_OFFSET) return [byGtids];
  // The log has led to this place, so both are the same; what the server tells of both may lie some transactions apart.
  return made === undefined ? [byGtids] : [byFile, byGtids];
};

export const ANEW = "empty the destination's table, delete the stream's cursor and start the load anew";

const byFile: Way = async ({ client, here, start, until, what }) => {
  const isUntilHere = isServer(here, until.server);
  // A load that is resumed may have gone beyond its end; a log that ends before the place has been begun anew.
  if (isUntilHere && isBefore(until.log, start.log) && isBefore(await currentPlace(client, here, what), start.log)) {
    throw new PlaceGone(`the log ends before ${start.log.file}:${start.log.offset}`);
  }
  return {
    command: dumpFrom(start.log),
    isFromHere: true,
    gtids: gtidsOf(here, start),
    end: isUntilHere ? until.log : gtidsOf(here, until),
  };
};

const byGtids: Way = async ({ client, here, start, until, what }) => {
  const gtids = gtidsOf(here, start);
  if (gtids === undefined || !here.hasGtids) {
    const reason = here.hasGtids ? "numbers its transactions in another way" : "has none (gtid_mode has to be ON)";
    throw new DownbeatError("SOURCE_LOG_LOST", `${what}: the last load went by GTIDs, and server ${here.name} ${reason}; ${ANEW}`);
  }
  const end = gtidsOf(here, until);
  for (const { server, log } of [start, until]) await requireThere(client, here, { server, gtids: log.gtids ?? "" }, what);
  await requireUnpurged(client, here, start, what);
  return { command: await dumpBehind(client, here.flavour, gtids), isFromHere: false, gtids, end };
};

const gtidsOf = (here: LogServer, { log }: ServersPlace): GtidPosition | undefined =>
  log.gtids === undefined ? undefined : parsePosition(here.flavour, log.gtids);

/** What a server had when it was asked. */
export interface ServersGtids {
  readonly server: string;
  readonly gtids: string;
}

/** A replica that is behind would tell of less than is known, and so would one that took over without the last transactions of another. */
export const requireThere = async (client: MysqlClient, here: LogServer, { server, gtids }: ServersGtids, what: string): Promise<void> => {
  const there = await transactionsOf(client, here);
  const standing = parsePosition(here.flavour, gtids)?.standingOf(there) ?? "diverged";
  if (standing === "there") return;
  const both = `it has come to ${there || "no transaction"}, and the load has seen server ${server} at ${gtids}`;
  if (isServer(here, server)) {
    throw new DownbeatError(
      "SOURCE_LOG_LOST",
      `${what}: the log of server ${here.name} was begun anew, or has lost its end: ${both}; ${ANEW}`,
    );
  }
  if (standing === "diverged") {
    throw new DownbeatError(
      "SOURCE_LOG_LOST",
      `${what}: server ${here.name} has gone on without transactions of another: ${both}; ${ANEW}`,
    );
  }
  throw new DownbeatError(
    "SOURCE_UNAVAILABLE",
    `${what}: server ${here.name} is behind: ${both}; a replica catches up, and logs what it is sent with log_slave_updates (log_replica_updates) alone; if it took over without those transactions, they are lost: ${ANEW}`,
  );
};

/** The server's own refusal does not say which ones are missing. */
const requireUnpurged = async (client: MysqlClient, here: LogServer, { log }: ServersPlace, what: string): Promise<void> => {
  if (here.flavour !== "mysql") return;
  const [row] = await client.query("select gtid_subtract(@@global.gtid_purged, ?) as missing", [log.gtids ?? ""]);
  const missing = String(row?.["missing"] ?? "").replaceAll("\n", "");
  if (missing === "") return;
  throw new DownbeatError(
    "SOURCE_LOG_LOST",
    `${what}: server ${here.name} has purged the transactions ${missing} of its log, which the last load has not read; keep the log longer (binlog_expire_logs_seconds); ${ANEW}`,
  );
};
