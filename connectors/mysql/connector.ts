// Opens MySQL: connections are made when a role needs one.

import type { Connector, ConnectorContext } from "../connector.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { connectMysql, type MysqlConfig } from "./client.ts";
import { MysqlLoadSession } from "./load-session.ts";
import { createMysqlSource } from "./source.ts";
import { createMysqlWarehouse } from "./warehouse.ts";

export const openMysql = (config: MysqlConfig, context: ConnectorContext): Promise<Connector> => {
  const what = `MySQL at ${config.host}:${config.port}, database ${config.database}`;
  return Promise.resolve({
    async check() {
      await using client = await connectMysql(config, context, "source", what);
      await client.query("select 1 as one");
    },
    source: createMysqlSource(() => connectMysql(config, context, "source", what), config.database, what, context),
    destination: {
      openLoad: async (target) =>
        openSqlLoad(await MysqlLoadSession.open(config, context, `${what}, table ${target.table}`, target.options), target),
    },
    sql: createMysqlWarehouse(() => connectMysql(config, context, "sql", what), what, context),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
