// Opens MySQL: connections are made when a role needs one.

import type { Connector, ConnectorContext } from "../connector.ts";
import { connectMysql, type MysqlConfig } from "./client.ts";
import { createMysqlSource } from "./source.ts";

export const openMysql = (config: MysqlConfig, context: ConnectorContext): Promise<Connector> => {
  const what = `MySQL at ${config.host}:${config.port}, database ${config.database}`;
  return Promise.resolve({
    async check() {
      await using client = await connectMysql(config, context, what);
      await client.query("select 1 as one");
    },
    source: createMysqlSource(() => connectMysql(config, context, what), config.database, what, context),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};
