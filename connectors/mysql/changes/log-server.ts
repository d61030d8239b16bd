// Whose log it is, and where that log ends now, by file and by GTIDs.

import { DownbeatError } from "../../../core/errors.ts";
import type { MysqlClient, MysqlRow } from "../client.ts";
import { parseMariadbPosition } from "./gtids/mariadb.ts";
import { parseMysqlPosition } from "./gtids/mysql.ts";
import type { GtidPosition } from "./gtids/position.ts";
import { type LogPlace, text } from "./log-place.ts";

export type GtidFlavour = "mariadb" | "mysql";

export interface LogServer {
  /** What its places are stored under. */
  readonly name: string;
  /** Its number, which servers of a replication have different ones of; older builds stored places under it alone. */
  readonly number: string;
  readonly flavour: GtidFlavour;
  /** Whether every transaction of its log has a GTID. */
  readonly hasGtids: boolean;
  /** How far its clock is ahead of ours. */
  readonly aheadMs: number;
}

export const logServerOf = async (client: MysqlClient): Promise<LogServer> => {
  const [row] = await client.query("select @@server_id as id, unix_timestamp(now(6)) as seconds");
  const names = ["server_uuid", "gtid_mode", "gtid_binlog_pos"];
  const rows = await client.query(`show global variables where variable_name in (${names.map((name) => `'${name}'`).join(", ")})`);
  const settings = new Map(rows.map((setting) => [text(setting, "variable_name"), text(setting, "value")]));
  const number = String(row?.["id"]);
  const flavour = settings.has("gtid_binlog_pos") ? "mariadb" : "mysql";
  return {
    name: settings.get("server_uuid") ?? number,
    number,
    flavour,
    // Other modes log transactions that have none.
    hasGtids: flavour === "mariadb" || settings.get("gtid_mode") === "ON",
    aheadMs: Number(row?.["seconds"]) * 1_000 - Date.now(),
  };
};

export const isServer = ({ name, number }: LogServer, stored: string): boolean => stored === name || stored === number;

/** Undefined: those are GTIDs of the other kind of server. */
export const parsePosition = (flavour: GtidFlavour, gtids: string): GtidPosition | undefined =>
  flavour === "mariadb" ? parseMariadbPosition(gtids) : parseMysqlPosition(gtids);

const globalOf = async (client: MysqlClient, name: string): Promise<string> => {
  const [row] = await client.query(`select @@global.${name} as value`);
  return String(row?.["value"] ?? "").replaceAll("\n", "");
};

/** Up to where the server has come: MySQL tells of transactions once their rows can be seen, MariaDB once they are logged. */
export const gtidsNow = (client: MysqlClient, { flavour }: LogServer): Promise<string> =>
  globalOf(client, flavour === "mariadb" ? "gtid_binlog_pos" : "gtid_executed");

/** Which transactions the server has: of MariaDB the last of each server in each domain, and not of each domain alone. */
export const transactionsOf = (client: MysqlClient, { flavour }: LogServer): Promise<string> =>
  globalOf(client, flavour === "mariadb" ? "gtid_binlog_state" : "gtid_executed");

/** The end of the log as it is now. GTIDs are asked for first: they tell of nothing that is behind the place. */
export const currentPlace = async (client: MysqlClient, server: LogServer, what: string): Promise<LogPlace> => {
  const gtids = server.hasGtids ? { gtids: await gtidsNow(client, server) } : {};
  const [row] = await statusOf(client);
  if (row === undefined) throw new DownbeatError("SOURCE_LOG_UNUSABLE", `${what}: the server keeps no binary log; start it with log_bin`);
  return { file: text(row, "file"), offset: Number(text(row, "position")), ...gtids };
};

/** A place that no transaction lies before whose rows cannot be seen yet: MariaDB logs one a moment before its rows are there for others. */
export const visiblePlace = async (client: MysqlClient, server: LogServer, what: string): Promise<LogPlace> => {
  if (server.flavour === "mysql") return currentPlace(client, server, what);
  await client.query("start transaction with consistent snapshot");
  try {
    const rows = await client.query("show status where variable_name in ('binlog_snapshot_file', 'binlog_snapshot_position')");
    const told = new Map(rows.map((row) => [text(row, "variable_name").toLowerCase(), text(row, "value")]));
    const file = told.get("binlog_snapshot_file") ?? "";
    const offset = Number(told.get("binlog_snapshot_position"));
    const [row] = await client.query("select binlog_gtid_pos(?, ?) as gtids", [file, offset]);
    const gtids = row?.["gtids"];
    return typeof gtids === "string" ? { file, offset, gtids } : currentPlace(client, server, what);
  } finally {
    await client.query("rollback");
  }
};

/** MySQL 8.4 knows the old statement no more, servers before 8.2 not the new one. */
const statusOf = async (client: MysqlClient): Promise<readonly MysqlRow[]> => {
  try {
    return await client.query("show master status");
  } catch (error) {
    if (!(error instanceof DownbeatError) || error.code !== "SOURCE_QUERY_FAILED") throw error;
    return client.query("show binary log status");
  }
};
