// Opens Redshift: every role connects when it is used, and no sooner.

import type { Connector, ConnectorContext } from "../connector.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { RedshiftLoadSession } from "./load-session.ts";
import type { RedshiftConfig } from "./spec.ts";
import { createRedshiftWarehouse } from "./warehouse.ts";

export const openRedshift = (config: RedshiftConfig, context: ConnectorContext): Promise<Connector> => {
  const server = `Redshift ${config.database} at ${config.host}:${config.port}`;
  return Promise.resolve({
    async check() {
      await using session = await RedshiftLoadSession.open(config, context, server);
      await session.run("select 1");
      if (config.staging !== undefined) await session.tryCopy();
    },
    destination: {
      describeTarget: async (target) =>
        describeSqlTarget(await RedshiftLoadSession.open(config, context, `${server}, table ${target.table}`), target),
      openLoad: async (target) => openSqlLoad(await RedshiftLoadSession.open(config, context, `${server}, table ${target.table}`), target),
      readLetters: (key, after) => readSqlLetters(() => RedshiftLoadSession.open(config, context, `${server}, dead letters`), key, after),
    },
    sql: createRedshiftWarehouse(config, context, server),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
