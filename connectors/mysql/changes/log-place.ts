// Places in the binary log, and whether a server's log tells enough to be followed.

import { DownbeatError } from "../../../core/errors.ts";
import type { MysqlClient, MysqlRow } from "../client.ts";

/** Behind the last byte of an event: where the next one begins. */
export interface FilePlace {
  readonly file: string;
  readonly offset: number;
}

/** Between two transactions. */
export interface LogPlace extends FilePlace {
  /**
   * When the file was made, in seconds since 1970, as its first event says: another file of that name was made at another time. Only in places that the log itself
   * has led to. The server tells others at about the same moment as `gtids`, which are then what is gone on from.
   */
  readonly made?: number;
  /** The transactions up to here, which every server of a replication knows by these names; none in places of older builds and of servers without GTIDs. */
  readonly gtids?: string;
}

/** The server's log has no such place; nothing has been read. */
export class PlaceGone extends Error {
  override readonly name = "PlaceGone";
}

export const shown = ({ file, offset }: FilePlace): string => `${file}:${offset}`;

/** Files are numbered, with at least six digits. */
const numberOf = ({ file }: FilePlace): number => Number(file.slice(file.lastIndexOf(".") + 1));

export const isBefore = (place: FilePlace, other: FilePlace): boolean =>
  numberOf(place) === numberOf(other) ? place.offset < other.offset : numberOf(place) < numberOf(other);

const WANTED: Readonly<Record<string, string>> = {
  log_bin: "1",
  binlog_format: "ROW",
  binlog_row_image: "FULL",
  // Names columns, tells signs, character sets and keys: without it rows of a table that was altered since cannot be told.
  binlog_row_metadata: "FULL",
};

/** Throws SOURCE_LOG_UNUSABLE with every setting that is missing. */
export const requireUsableLog = async (client: MysqlClient, what: string): Promise<void> => {
  const names = [...Object.keys(WANTED), "binlog_row_value_options"];
  const rows = await client.query(`show global variables where variable_name in (${names.map((name) => `'${name}'`).join(", ")})`);
  const settings = new Map(rows.map((row) => [text(row, "variable_name"), text(row, "value").replace(/^ON$/, "1").toUpperCase()]));
  const wrong = Object.entries(WANTED).filter(([name, value]) => settings.get(name) !== value);
  // MySQL can log parts of JSON values.
  if ((settings.get("binlog_row_value_options") ?? "") !== "") wrong.push(["binlog_row_value_options", "''"]);
  if (wrong.length === 0) return;
  throw new DownbeatError(
    "SOURCE_LOG_UNUSABLE",
    `${what}: changes are read from the server's binary log, which needs ${wrong.map(([name, value]) => `${name} = ${value === "1" ? "ON" : value} (it is ${settings.get(name) ?? "unknown to this server"})`).join(", ")}; set it in the server's configuration and start the load anew`,
    { details: { settings: Object.fromEntries(wrong) } },
  );
};

/** Servers differ in the case of these names. */
export const text = (row: MysqlRow, wanted: string): string =>
  String(Object.entries(row).find(([name]) => name.toLowerCase() === wanted)?.[1] ?? "");
