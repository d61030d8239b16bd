// Snowflake's emulator as what loads write into: a table a case, in a database of the lane's own.

import type { EmulatorAddress } from "../../bin/services/emulator.ts";
import { snowflakeQueries } from "../fixtures/snowflake.ts";
import { atOneMoment, lineSql, type Place, type Query, sightOf } from "./destinations.ts";
import { SEPARATOR_CODE } from "./rows.ts";

const micros = (moment: string): string => `to_char(cast(${moment} as timestamp_ntz), 'YYYY-MM-DD HH24:MI:SS.FF6')`;

const LINE = lineSql({ day: `to_char("day", 'YYYY-MM-DD')`, at: micros('"at"'), moment: micros('"moment"') }, `chr(${SEPARATOR_CODE})`);

const STAGING =
  "select lower(table_name) as name from information_schema.tables where table_schema = '_DOWNBEAT' and lower(table_name) like '^_downbeat^_%' escape '^'";

export interface SnowflakeDestination extends AsyncDisposable {
  /** A table of this name. */
  readonly place: (name: string) => Place;
}

export const snowflakeDestination = async ({ endpoint }: EmulatorAddress, database: string): Promise<SnowflakeDestination> => {
  const queries = await snowflakeQueries(endpoint, database);
  const query: Query = async (sql) => (await queries.query(sql)) ?? [];
  const place = (name: string): Place => ({
    kind: "snowflake",
    config: { account: "test", user: "downbeat", password: "any", database, endpoint },
    table: name,
    look: (key) => atOneMoment(query, "begin", () => sightOf(query, key, { name: `public.${name}`, line: LINE }, STAGING)),
    // The emulator refuses where Snowflake waits.
    isBlocked: () => Promise.resolve(false),
    clear: async () => void (await query(`drop table if exists ${name}`)),
  });
  return { place, [Symbol.asyncDispose]: () => queries[Symbol.asyncDispose]() };
};
