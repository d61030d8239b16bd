// A MySQL table that changes under the loads which follow its log: each lane has one of its own.

import path from "node:path";
import type { Connection } from "mysql2/promise";
import type { MysqlAddress } from "../../bin/services/mysql.ts";
import { connectToFill, createMysqlTable, mysqlRow } from "./fill-tables.ts";
import { COLUMN_NAMES, type Event, eventsOf, latest, type Part, PARTS } from "./rows.ts";
import type { PreparedSource } from "./sources.ts";

const TABLE = "orders";
/** Rows of a transaction: a chunk can end behind each. */
const STEP = 50;
const UPDATES = COLUMN_NAMES.map((name) => `\`${name}\` = values(\`${name}\`)`).join(", ");

const goodEvents = (part: Part): readonly Event[] => eventsOf(part).filter(({ isBad }) => !isBad);

const beginAnew = async (connection: Connection): Promise<void> => {
  await connection.query(`drop table if exists ${TABLE}`);
  await createMysqlTable(connection, TABLE);
  await connection.query(`insert into ${TABLE} values ?`, [latest(goodEvents("first")).map(mysqlRow)]);
};

/** Later versions come as updates, or as another row of the same key behind the end of the one before. */
const apply = async (connection: Connection, events: readonly Event[]): Promise<void> => {
  for (let from = 0; from < events.length; from += STEP) {
    const rows = events.slice(from, from + STEP).map(mysqlRow);
    await connection.query("begin");
    if ((from / STEP) % 2 === 1) await connection.query(`delete from ${TABLE} where id in (?)`, [rows.map(([id]) => id)]);
    await connection.query(`insert into ${TABLE} values ? on duplicate key update ${UPDATES}`, [rows]);
    await connection.query("commit");
  }
};

/** Rows that are there for a while, which only a later part has for good: a deletion that is lost leaves them. */
const comeAndGo = async (connection: Connection, part: Part): Promise<void> => {
  const later = goodEvents("all").slice(goodEvents(part).length);
  const rows = later.filter(({ texts }) => texts.version === "1").map(mysqlRow);
  if (rows.length === 0) return;
  await connection.query(`insert into ${TABLE} values ?`, [rows]);
  await connection.query(`delete from ${TABLE} where id in (?)`, [rows.map(([id]) => id)]);
};

/** A later part is what happens to the table; an earlier one begins it anew. */
export const changingMysql = (address: MysqlAddress, prefix: string): PreparedSource => {
  const { host, port, user, password } = address;
  const databaseOf = (folder: string): string => `${prefix}_${path.basename(folder).replaceAll("-", "_")}`;
  const reached = new Map<string, Part>();
  return {
    kind: "mysql",
    config: (folder) => ({ host, port, user, password, database: databaseOf(folder) }),
    request: () => ({ stream: TABLE, options: { changes: true } }),
    async come(folder, part) {
      let before = reached.get(folder);
      if (before === part) return;
      const connection = await connectToFill(address);
      try {
        const database = `\`${databaseOf(folder)}\``;
        await connection.query(`create database if not exists ${database} character set utf8mb4`);
        await connection.query(`use ${database}`);
        if (before === undefined || PARTS.indexOf(before) > PARTS.indexOf(part)) {
          await beginAnew(connection);
          before = "first";
        }
        if (before !== part) {
          await comeAndGo(connection, part);
          await apply(connection, goodEvents(part).slice(goodEvents(before).length));
        }
      } finally {
        await connection.end();
      }
      reached.set(folder, part);
    },
  };
};
