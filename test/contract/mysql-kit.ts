// What the tests of the MySQL source share: a database of their own, statements, numbered rows, reading as the engine does.

import { createConnection, type RowDataPacket } from "mysql2/promise";
import type { Batch } from "../../connectors/batch.ts";
import type { Connector, ConnectorContext, StreamRequest } from "../../connectors/connector.ts";
import { mysql } from "../../connectors/mysql/spec.ts";
import { freshMysqlDatabase } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { batchesOf, request } from "./sql-roles.ts";

export const folder = testFolder("mysql");
const database = await freshMysqlDatabase();
export const address = {
  host: database.host,
  port: database.port,
  user: database.user,
  password: database.password,
  database: database.database,
};

export const make = (context: ConnectorContext = testContext(folder), config: Record<string, unknown> = {}): Promise<Connector> =>
  openConnector(mysql, { ...address, ...config }, context);

/** Runs statements one after the other; answers the last one's rows, all values as text. */
export const run = async (...statements: readonly string[]): Promise<readonly Readonly<Record<string, string | null>>[]> => {
  const connection = await createConnection({ ...address, charset: "utf8mb4" });
  try {
    await connection.query("set session time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'");
    let rows: unknown = [];
    for (const sql of statements) [rows] = await connection.query<RowDataPacket[]>({ sql, typeCast: (field) => field.string() });
    return rows as readonly Record<string, string | null>[];
  } finally {
    await connection.end();
  }
};

/** A derived table with a column `n` of the numbers from 1 to `count`; every server can do it. */
export const numbers = (count: number): string => {
  const digits = `(${Array.from({ length: 10 }, (_, digit) => `select ${digit} d`).join(" union all ")})`;
  const places = Array.from({ length: String(count).length }, (_, place) => `p${place}`);
  const value = places.map((place, power) => `${place}.d * ${10 ** power}`).join(" + ");
  return `(select 1 + ${value} as n from ${places.map((place) => `${digits} ${place}`).join(" cross join ")} having n <= ${count}) numbers`;
};

export const parseOptions = (options: Record<string, unknown>): Readonly<Record<string, unknown>> =>
  mysql.sourceOptions?.parse(options) as Readonly<Record<string, unknown>>;

/** Fixes the bounds and reads, as the engine does. */
export const load = async (connector: Connector, given: Partial<StreamRequest>): Promise<readonly Batch[]> => {
  const wanted = request({ ...given, options: parseOptions({ ...given.options }) });
  const bounds = given.bounds === undefined ? await connector.source!.bounds!(wanted) : given.bounds;
  return batchesOf(connector.source!.read({ ...wanted, bounds }));
};
