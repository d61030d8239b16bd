// Decides how a stream is read: which columns, in which order, and whether that order tells all rows apart.

import { DownbeatError } from "../../core/errors.ts";
import type { StreamRequest } from "../connector.ts";
import { filtered } from "../lib/table-options.ts";
import { ServerError, type BinarySession } from "./binary-session.ts";
import { NO_KEYS, readKeys } from "./catalog.ts";
import type { MysqlClient } from "./client.ts";
import { parseStream, quote, quoteStream } from "./names.ts";
import { orderColumn, type OrderColumn } from "./order.ts";
import { resultColumns, type ResultColumn, typeOptions, type TypeOptions } from "./types.ts";

export interface ReadPlan {
  readonly session: BinarySession;
  /** What stands behind FROM. */
  readonly relation: string;
  /** The user's own query, if there is one. */
  readonly query: string;
  /** What stands behind SELECT: the columns that were asked for, then order columns that were not. */
  readonly selection: string;
  /** How many of the columns were asked for. */
  readonly visible: number;
  readonly order: readonly OrderColumn[];
  readonly isUnique: boolean;
  readonly isCursorNullable: boolean;
  readonly types: TypeOptions;
}

const UNKNOWN_COLUMN = 1054;

export const planRead = async (
  client: MysqlClient,
  request: Omit<StreamRequest, "bounds">,
  database: string,
  what: string,
): Promise<ReadPlan> => {
  const { cursor, options } = request;
  const stream = request.query === undefined ? parseStream(request.stream, database) : undefined;
  const keys = stream === undefined ? NO_KEYS : await readKeys(client, stream);
  const key = request.key ?? keys.primary;
  const orderNames = [...(cursor === undefined ? [] : [cursor]), ...key.filter((name) => name !== cursor)];
  const isUnique = keys.unique.some((unique) => unique.every((name) => orderNames.includes(name)));

  const asked = options["columns"] as readonly string[] | undefined;
  const hidden = asked === undefined ? [] : orderNames.filter((name) => !asked.includes(name));
  const selection = asked === undefined ? "*" : [...asked, ...hidden].map(quote).join(", ");
  const query = (request.query ?? "").trim().replace(/;+$/, "");
  const rows = stream === undefined ? `(${query})` : quoteStream(stream);
  const isFiltered = options["where"] !== undefined;
  // What is in parentheses needs a name.
  const relation = stream === undefined || isFiltered ? `${filtered(rows, request)} as ${quote("stream")}` : rows;
  const types = typeOptions(options);

  const session = client.takeOver();
  // A query that runs as it is may have columns of the same name, which a derived table may not.
  const described = orderNames.length === 0 && asked === undefined && stream === undefined ? query : `select ${selection} from ${relation}`;
  const columns = await describe(session, described, types, asked !== undefined || isFiltered, what);
  const order = orderNames.map((name) => orderColumn(name, columnNamed(columns, name, what), isUnique, what));
  const cursorColumn = columns.find(({ column }) => column.name === cursor);
  return {
    session,
    relation,
    query,
    selection,
    visible: columns.length - hidden.length,
    order,
    isUnique,
    isCursorNullable: cursorColumn?.definition.isNotNull === false,
    types,
  };
};

const describe = async (
  session: BinarySession,
  sql: string,
  types: TypeOptions,
  namesColumns: boolean,
  what: string,
): Promise<readonly ResultColumn[]> => {
  try {
    const statement = await session.prepare(sql);
    session.close(statement);
    return resultColumns(statement.columns, types, what);
  } catch (error) {
    if (!(error instanceof ServerError) || error.errno !== UNKNOWN_COLUMN || !namesColumns) throw error;
    throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${what}: ${error.message}; check columns, where, cursor and key`, { cause: error });
  }
};

const columnNamed = (columns: readonly ResultColumn[], name: string, what: string): ResultColumn => {
  const found = columns.find(({ column }) => column.name === name);
  if (found !== undefined) return found;
  throw new DownbeatError(
    "CURSOR_INVALID",
    `${what} has no column "${name}" to order by; it has ${columns.map(({ column }) => column.name).join(", ")}`,
  );
};
