// What information_schema tells of tables and their unique keys.

import type { MysqlClient } from "./client.ts";
import type { StreamName } from "./names.ts";

export interface TableKeys {
  /** In the order of the index; empty when there is none. */
  readonly primary: readonly string[];
  /** Column sets that no two rows share: unique indexes without columns that may be NULL, the primary key among them. */
  readonly unique: readonly (readonly string[])[];
}

export const listTables = async (client: MysqlClient, database: string): Promise<readonly string[]> => {
  const rows = await client.query(
    "select table_name as name from information_schema.tables where table_schema = ? and table_type in ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') and left(table_name, 10) <> '_downbeat_' order by table_name",
    [database],
  );
  return rows.map((row) => String(row["name"]));
};

/** Expressions in an index have no column name, and prefixes do not make whole values unique. */
const KEYS = `select table_name as table_name, index_name as index_name, column_name as column_name, nullable as nullable, sub_part as sub_part
  from information_schema.statistics where table_schema = ? and non_unique = 0`;

export const readKeys = async (client: MysqlClient, { database, table }: StreamName): Promise<TableKeys> =>
  (await keysByTable(client, `${KEYS} and table_name = ? order by index_name, seq_in_index`, [database, table])).get(table) ?? NO_KEYS;

export const readAllKeys = (client: MysqlClient, database: string): Promise<ReadonlyMap<string, TableKeys>> =>
  keysByTable(client, `${KEYS} order by table_name, index_name, seq_in_index`, [database]);

export const NO_KEYS: TableKeys = { primary: [], unique: [] };

const keysByTable = async (client: MysqlClient, sql: string, params: readonly string[]): Promise<ReadonlyMap<string, TableKeys>> => {
  const tables = new Map<string, Map<string, (string | null)[]>>();
  for (const row of await client.query(sql, params)) {
    const table = String(row["table_name"]);
    const index = String(row["index_name"]);
    const isWhole = row["nullable"] !== "YES" && row["sub_part"] === null && row["column_name"] !== null;
    const indexes = tables.get(table) ?? new Map<string, (string | null)[]>();
    indexes.set(index, [...(indexes.get(index) ?? []), isWhole ? String(row["column_name"]) : null]);
    tables.set(table, indexes);
  }
  return new Map(
    [...tables].map(([table, indexes]) => {
      const whole = new Map([...indexes].filter((entry): entry is [string, string[]] => !entry[1].includes(null)));
      return [table, { primary: whole.get("PRIMARY") ?? [], unique: [...whole.values()] }];
    }),
  );
};
