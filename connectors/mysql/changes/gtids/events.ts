// Events that begin a transaction and name its GTID.

import { EVENT, type LogEvent } from "../log-event.ts";
import type { Gtid } from "./position.ts";

export interface TransactionStart {
  /** Undefined: the server gives this transaction none. */
  readonly gtid: Gtid | undefined;
  /** It is one statement, with no end of its own behind it; undefined: its first statement tells. */
  readonly isStandalone: boolean | undefined;
}

/** Undefined: another kind of event. */
export const parseStart = (event: LogEvent): TransactionStart | undefined => {
  switch (event.type) {
    case EVENT.mariadbGtid:
      return parseMariadb(event);
    case EVENT.gtid:
      return { gtid: parseMysql(event), isStandalone: undefined };
    case EVENT.gtidTagged:
      return { gtid: parseTagged(event), isStandalone: undefined };
    case EVENT.anonymousGtid:
      return { gtid: undefined, isStandalone: undefined };
    default:
      return undefined;
  }
};

const STANDALONE = 1;
/** In the event's header, behind time and type. */
const SERVER = 5;
const HEADER = 19;

/** https://mariadb.com/kb/en/gtid_event/ */
const parseMariadb = ({ bytes, start }: LogEvent): TransactionStart => ({
  gtid: {
    number: bytes.readBigUInt64LE(start),
    source: String(bytes.readUInt32LE(start + 8)),
    server: bytes.readUInt32LE(start - HEADER + SERVER),
  },
  isStandalone: (bytes[start + 12]! & STANDALONE) !== 0,
});

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html: flags, server, number. */
const parseMysql = ({ bytes, start }: LogEvent): Gtid => ({
  source: uuidText(bytes.toString("hex", start + 1, start + 17)),
  number: bytes.readBigInt64LE(start + 17),
  server: 0,
});

const uuidText = (hex: string): string =>
  [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");

/**
 * A message that describes itself: its version, its size, the last field that must be known, then each field behind its number.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html
 */
const parseTagged = ({ bytes, start }: LogEvent): Gtid => {
  let at = start;
  /** The first byte's ones at its low end say how many bytes follow. */
  const next = (): bigint => {
    const first = bytes[at]!;
    let more = 0;
    while (more < 8 && (first & (1 << more)) !== 0) more += 1;
    let value = 0n;
    for (let place = more; place >= 0; place -= 1) value = (value << 8n) | BigInt(bytes[at + place]!);
    at += more + 1;
    return more === 8 ? value >> 8n : value >> BigInt(more + 1);
  };
  const field = (wanted: bigint): void => {
    const found = next();
    if (found !== wanted) throw new Error(`a tagged GTID has field ${found} where ${wanted} is expected`);
  };
  next();
  next();
  next();
  field(0n);
  next();
  field(1n);
  const uuid = Array.from({ length: 16 }, () => next().toString(16).padStart(2, "0")).join("");
  field(2n);
  const zigzag = next();
  field(3n);
  const length = Number(next());
  const tag = bytes.toString("latin1", at, at + length);
  return {
    source: tag === "" ? uuidText(uuid) : `${uuidText(uuid)}:${tag}`,
    number: (zigzag >> 1n) ^ -(zigzag & 1n),
    server: 0,
  };
};
