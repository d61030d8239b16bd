// Opens PostgreSQL: every role connects when it is used, and no sooner.

import type { Connector, ConnectorContext } from "../connector.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { connectPostgres, type PostgresConfig } from "./client.ts";
import { PostgresLoadSession } from "./load-session.ts";
import { createPostgresSource } from "./source.ts";
import { createPostgresWarehouse } from "./warehouse.ts";

export const openPostgres = (config: PostgresConfig, context: ConnectorContext): Promise<Connector> => {
  const server = `PostgreSQL ${config.database} at ${config.host}:${config.port}`;
  return Promise.resolve({
    async check() {
      await using client = await connectPostgres(config, context, "destination", server);
      await client.driver.query("select 1");
    },
    destination: {
      describeTarget: async (target) =>
        describeSqlTarget(await PostgresLoadSession.open(config, context, `${server}, table ${target.table}`), target),
      openLoad: async (target) => openSqlLoad(await PostgresLoadSession.open(config, context, `${server}, table ${target.table}`), target),
      readLetters: (key, after) => readSqlLetters(() => PostgresLoadSession.open(config, context, `${server}, dead letters`), key, after),
    },
    source: createPostgresSource(config, context, server),
    sql: createPostgresWarehouse(config, context, server),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
