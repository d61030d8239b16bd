// Opens BigQuery: every call stands for itself, so that nothing is connected to.

import type { Connector, ConnectorContext } from "../connector.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { BigqueryClient } from "./client.ts";
import { runQuery } from "./jobs.ts";
import { BigqueryLoadSession } from "./load-session.ts";
import type { BigqueryConfig } from "./spec.ts";
import { createBigqueryWarehouse } from "./warehouse.ts";

export const openBigquery = (config: BigqueryConfig, context: ConnectorContext): Promise<Connector> => {
  const what = `BigQuery project ${config.project}`;
  const named = (table: string): string => `${what}, table ${table}`;
  return Promise.resolve({
    async check() {
      const client = new BigqueryClient(config, context, "destination", what);
      try {
        await runQuery(client, "select 1 as one", {}, 1);
      } catch (error) {
        throw client.error(error);
      }
    },
    destination: {
      describeTarget: async (target) =>
        describeSqlTarget(await BigqueryLoadSession.open(config, context, named(target.table), { key: target.key, claims: false }), target),
      openLoad: async (target) =>
        openSqlLoad(await BigqueryLoadSession.open(config, context, named(target.table), { key: target.key, claims: true }), target),
      readLetters: (key, after) =>
        readSqlLetters(() => BigqueryLoadSession.open(config, context, `${what}, dead letters`, { key, claims: false }), key, after),
    },
    sql: createBigqueryWarehouse(config, context, what),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
