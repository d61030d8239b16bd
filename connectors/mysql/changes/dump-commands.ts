// What asks a server for its binary log, to the end that it has now: from a place in a file, or behind the transactions that are known.

import { randomInt } from "node:crypto";
import type { MysqlClient } from "../client.ts";
import type { MysqlPosition } from "./gtids/mysql.ts";
import type { GtidPosition } from "./gtids/position.ts";
import type { FilePlace } from "./log-place.ts";
import type { GtidFlavour } from "./log-server.ts";

const COM_BINLOG_DUMP = 0x12;
const COM_BINLOG_DUMP_GTID = 0x1e;
/** End at the end of the log instead of waiting for more. */
const NON_BLOCKING = 1;
/** What is asked for follows on a set of GTIDs. */
const THROUGH_GTIDS = 4;
/** Behind the four bytes that every file of the log begins with. */
const FILE_START = 4;
export const LARGEST_OFFSET = 0xffff_ffff;

/** Servers end another reader of the same number; those of real replicas are small. */
const readerNumber = (): number => randomInt(0x8000_0000, 0xffff_ffff);

/** Before the session is taken over: we know of checksums, the first event, which is made up, needs none, and MariaDB may send its own kinds. */
export const prepareDump = async (client: MysqlClient): Promise<void> => {
  await client.query("set @master_binlog_checksum = 'NONE'");
  await client.query("set @mariadb_slave_capability = 4");
};

export const dumpFrom = ({ file, offset }: FilePlace): Buffer => {
  const head = Buffer.alloc(11);
  head[0] = COM_BINLOG_DUMP;
  // Places beyond 4 GB cannot be asked for. What is read twice ends as it was.
  head.writeUInt32LE(offset > LARGEST_OFFSET ? FILE_START : offset, 1);
  head.writeUInt16LE(NON_BLOCKING, 5);
  head.writeUInt32LE(readerNumber(), 7);
  return Buffer.concat([head, Buffer.from(file)]);
};

/** The command for what follows on a position. MariaDB takes that as settings of the session, MySQL within the command. */
export const dumpBehind = async (client: MysqlClient, flavour: GtidFlavour, position: GtidPosition): Promise<Buffer> => {
  if (flavour === "mysql") return dumpBehindSet((position as MysqlPosition).encoded);
  await client.query(`set @slave_connect_state = '${position.text}'`);
  // A transaction that is missing in the midst of the log is an error instead of a gap.
  await client.query("set @slave_gtid_strict_mode = 1");
  await client.query("set @slave_gtid_ignore_duplicates = 0");
  return dumpFrom({ file: "", offset: FILE_START });
};

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump_gtid.html */
export const dumpBehindSet = (encoded: Buffer): Buffer => {
  const head = Buffer.alloc(23);
  head[0] = COM_BINLOG_DUMP_GTID;
  head.writeUInt16LE(NON_BLOCKING | THROUGH_GTIDS, 1);
  head.writeUInt32LE(readerNumber(), 3);
  // No file is named: its name's length is 0.
  head.writeBigUInt64LE(BigInt(FILE_START), 11);
  head.writeUInt32LE(encoded.length, 19);
  return Buffer.concat([head, encoded]);
};
