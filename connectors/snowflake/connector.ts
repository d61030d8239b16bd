// Opens Snowflake: sessions are made when a role needs one.

import type { Connector, ConnectorContext } from "../connector.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { connectSnowflake } from "./client.ts";
import { SnowflakeLoadSession } from "./load-session.ts";
import type { SnowflakeConfig } from "./spec.ts";
import { createSnowflakeWarehouse } from "./warehouse.ts";

export const openSnowflake = (config: SnowflakeConfig, context: ConnectorContext): Promise<Connector> => {
  const what = `Snowflake ${config.account}, database ${config.database}`;
  return Promise.resolve({
    async check() {
      await using client = await connectSnowflake(config, context, "destination", what);
      await client.run("select 1 as one");
    },
    destination: {
      describeTarget: async (target) =>
        describeSqlTarget(await SnowflakeLoadSession.open(config, context, `${what}, table ${target.table}`), target),
      openLoad: async (target) =>
        openSqlLoad(await SnowflakeLoadSession.open(config, context, `${what}, table ${target.table}`, target.key), target),
      readLetters: (key, after) => readSqlLetters(() => SnowflakeLoadSession.open(config, context, `${what}, dead letters`), key, after),
    },
    sql: createSnowflakeWarehouse(() => connectSnowflake(config, context, "sql", what), what, context),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
