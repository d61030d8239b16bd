// Events of the binary log: their header, and the small ones among them. https://mariadb.com/kb/en/2-binlog-event-header/

/** https://dev.mysql.com/doc/dev/mysql-server/latest/namespacemysql_1_1binlog_1_1event.html; from 160 on MariaDB's own. */
export const EVENT = {
  query: 2,
  rotate: 4,
  formatDescription: 15,
  xid: 16,
  tableMap: 19,
  writeRows1: 23,
  updateRows1: 24,
  deleteRows1: 25,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  gtidTagged: 42,
  mariadbGtid: 162,
  queryCompressed: 165,
  writeRowsCompressed1: 166,
  updateRowsCompressed1: 167,
  deleteRowsCompressed1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
} as const;

export interface LogEvent {
  /** Seconds since 1970. */
  readonly at: number;
  readonly type: number;
  /** Where the next event begins; 0 in events that are made up for the reader. */
  readonly next: number;
  readonly bytes: Buffer;
  /** The event's own part of `bytes`. */
  readonly start: number;
  readonly end: number;
}

const HEADER = 19;

/** Bytes of the checksum behind each event of a file, as the description at the file's beginning says, which has one itself in any case. */
export const checksumLength = ({ bytes, end }: LogEvent): number => (bytes[end - 1 - CHECKSUM] === 0 ? 0 : CHECKSUM);

const CHECKSUM = 4;

/** `bytes` from `start`: header and body; `end` without a checksum. */
export const parseEvent = (bytes: Buffer, start: number, end: number): LogEvent => ({
  at: bytes.readUInt32LE(start),
  type: bytes[start + 4]!,
  next: bytes.readUInt32LE(start + 13),
  bytes,
  start: start + HEADER,
  end,
});

/** The file that the log goes on in, and where there. */
export const parseRotate = ({ bytes, start, end }: LogEvent): { readonly file: string; readonly offset: number } => ({
  offset: Number(bytes.readBigUInt64LE(start)),
  file: bytes.toString("utf8", start + 8, end),
});

export interface LoggedStatement {
  /** The database that unqualified names mean. */
  readonly database: string;
  readonly sql: string;
}

export const parseQuery = ({ bytes, start, end }: LogEvent): LoggedStatement => {
  const nameLength = bytes[start + 8]!;
  const statusLength = bytes.readUInt16LE(start + 11);
  const name = start + 13 + statusLength;
  return {
    database: bytes.toString("utf8", name, name + nameLength),
    sql: bytes.toString("utf8", name + nameLength + 1, end),
  };
};
