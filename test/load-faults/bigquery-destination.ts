// BigQuery's emulator as what loads write into: a table a case, in a project of the lane's own.

import type { EmulatorAddress } from "../../bin/services/emulator.ts";
import { flowSuffix } from "../../connectors/bigquery/dialect.ts";
import { bigqueryQueries } from "../fixtures/bigquery.ts";
import { atOneMoment, lineSql, type Place, type Query, sightOf } from "./destinations.ts";
import { SEPARATOR_CODE } from "./rows.ts";

const DATASET = "faults";
const OWN = "_downbeat_us";

/** The emulator passes on functions of DuckDB's that BigQuery has not. */
const micros = (moment: string): string => `strftime(cast(${moment} as datetime), '%Y-%m-%d %H:%M:%S.%f')`;

const LINE = lineSql(
  { day: `strftime("day", '%Y-%m-%d')`, at: micros('"at"'), moment: micros('"moment"') },
  `chr(${SEPARATOR_CODE})`,
  "string",
);

/** Upload tables of attempts that died expire. */
const STAGING = `select table_name as name from information_schema.tables where table_schema = '${OWN}' and table_name like '\\\\_downbeat\\\\_%'`;

export interface BigqueryDestination {
  /** A table of this name. */
  readonly place: (name: string) => Place;
}

export const bigqueryDestination = ({ endpoint }: EmulatorAddress, project: string): BigqueryDestination => {
  const place = (name: string): Place => ({
    kind: "bigquery",
    config: { project, dataset: DATASET, endpoint },
    table: name,
    async look(key) {
      const session = await bigqueryQueries(endpoint, project).inSession();
      const query: Query = (sql) => session.query(sql.replaceAll(/"(\w+)"/g, "`$1`"));
      const books = { schema: OWN, nameOf: (table: string) => (table === "dead_letters" ? table : `${table}_${flowSuffix(key)}`) };
      try {
        const table = { name: `${DATASET}.${name}`, line: LINE, books };
        return await atOneMoment(query, "begin transaction", () => sightOf(query, key, table, STAGING));
      } finally {
        await query("call bq.abort_session()");
      }
    },
    // The next attempt ends the session of the one before.
    isBlocked: () => Promise.resolve(false),
    clear: async () => void (await bigqueryQueries(endpoint, project).query(`drop table if exists ${DATASET}.${name}`)),
  });
  return { place };
};
