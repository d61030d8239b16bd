// MySQL as what loads write into: a table a case, in a database of the lane's own.

import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { MysqlAddress } from "../../bin/services/mysql.ts";
import { atOneMoment, lineSql, type Place, type Query, sightOf } from "./destinations.ts";
import { SEPARATOR_CODE } from "./rows.ts";

const micros = (moment: string): string => `date_format(${moment}, '%Y-%m-%d %H:%i:%s.%f')`;

const LINE = lineSql(
  {
    active: "case active when 1 then 'true' when 0 then 'false' end",
    day: "date_format(day, '%Y-%m-%d')",
    at: micros('"at"'),
    moment: micros("moment"),
  },
  `char(${SEPARATOR_CODE} using utf8mb4)`,
  "char",
);

export interface MysqlDestination extends AsyncDisposable {
  /** A table of this name. */
  readonly place: (name: string) => Place;
}

/** Staging tables have a hash behind the prefix of Downbeat's own tables. */
const stagingIn = (database: string): string =>
  `select table_name as name from information_schema.tables where table_schema = '${database}' and table_name regexp '^_downbeat_[0-9a-f]{24}$'`;

/** Row locks, and those of definitions and names. */
const blockedIn = (database: string): string =>
  `select (select count(*) from information_schema.innodb_trx as t join information_schema.processlist as p on p.id = t.trx_mysql_thread_id
           where p.db = '${database}' and t.trx_state = 'LOCK WAIT')
        + (select count(*) from information_schema.processlist where db = '${database}' and (state like 'Waiting for %lock' or state = 'User lock')) as n`;

export const mysqlDestination = async ({ host, port, user, password }: MysqlAddress, database: string): Promise<MysqlDestination> => {
  const connection = await createConnection({ host, port, user, password, charset: "utf8mb4", dateStrings: true });
  const query: Query = async (sql) => (await connection.query<RowDataPacket[]>(sql))[0];
  await query("set session time_zone = '+00:00', sql_mode = 'ANSI_QUOTES'");
  await query(`create database ${database} character set utf8mb4`);
  await query(`use ${database}`);
  const place = (name: string): Place => ({
    kind: "mysql",
    config: { host, port, user, password, database },
    table: name,
    async look(key) {
      const books = { schema: database, nameOf: (table: string) => `_downbeat_${table}` };
      return atOneMoment(query, "start transaction with consistent snapshot, read only", () =>
        sightOf(query, key, { name: `${database}.${name}`, line: LINE, books }, stagingIn(database)),
      );
    },
    isBlocked: async () => Number((await query(blockedIn(database)))[0]?.["n"]) > 0,
    clear: async () => void (await query(`drop table if exists ${name}`)),
  });
  return { place, [Symbol.asyncDispose]: () => connection.end() };
};
