// Opens MySQL: connections are made when a role needs one.

import { DownbeatError } from "../../core/errors.ts";
import type { Connector, ConnectorContext, Source, StreamRequest } from "../connector.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { createChangesSource } from "./changes/source.ts";
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
    source: openSource(config, context, what),
    destination: {
      describeTarget: async (target) => describeSqlTarget(await MysqlLoadSession.open(config, context, what, {}), target),
      openLoad: async (target) =>
        openSqlLoad(await MysqlLoadSession.open(config, context, `${what}, table ${target.table}`, target.options), target),
      readLetters: (key, after) => readSqlLetters(() => MysqlLoadSession.open(config, context, `${what}, dead letters`, {}), key, after),
    },
    sql: createMysqlWarehouse(() => connectMysql(config, context, "sql", what), what, context),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};

/** Streams are read as they are, or followed in the log. */
const openSource = (config: MysqlConfig, context: ConnectorContext, where: string): Source => {
  const connect = () => connectMysql(config, context, "source", where);
  const { database } = config;
  const rows = createMysqlSource(connect, database, where, context);
  const changes = createChangesSource({ connect, database, where, context, rows });
  return {
    discover: rows.discover,
    estimateRows: rows.estimateRows,
    bounds: (request) => (request.options["changes"] === true ? changes : rows).bounds(request),
    read(request) {
      if (request.options["changes"] === true) return changes.read(request);
      refuseChangesPosition(request, where);
      return rows.read(request);
    },
  };
};

const refuseChangesPosition = ({ stream, position }: StreamRequest, where: string): void => {
  if (position === null || typeof position !== "object" || !("log" in position)) return;
  throw new DownbeatError(
    "CURSOR_INVALID",
    `${where}: earlier loads of ${stream} by this task followed its changes; give the task another id, or delete its cursor and empty the table`,
  );
};
