// Opens a DuckDB file: one shared instance behind the connector's roles.

import path from "node:path";
import type { Connector, ConnectorContext } from "../connector.ts";
import { shareDuckdb, type SharedDuckdb } from "../lib/duckdb-instance.ts";
import { describeSqlTarget } from "../lib/load/describe-target.ts";
import { readSqlLetters } from "../lib/load/read-letters.ts";
import { openSqlLoad } from "../lib/load/sql-load.ts";
import { duckdbError, type Side } from "./errors.ts";
import { DuckdbLoadSession } from "./load-session.ts";
import { createDuckdbSource } from "./source.ts";
import { createDuckdbWarehouse } from "./warehouse.ts";

interface Config {
  readonly path: string;
  readonly memory_limit: string;
  readonly threads: number;
}

export const openDuckdb = async (config: Config, context: ConnectorContext): Promise<Connector> => {
  const file = path.resolve(context.baseDir, config.path);
  const what = `DuckDB file ${config.path}`;
  let shared: Promise<SharedDuckdb> | undefined;
  /** The file is opened by whoever needs it first, and given back with the connector. */
  const share = async (side: Side): Promise<SharedDuckdb> => {
    shared ??= shareDuckdb(file, { memoryLimit: config.memory_limit, threads: config.threads });
    try {
      return await shared;
    } catch (error) {
      shared = undefined;
      throw duckdbError(error, side, what, context.signal);
    }
  };
  return {
    async check() {
      await using session = await DuckdbLoadSession.open(await share("destination"), context, what);
      await session.run("select 1");
    },
    destination: {
      describeTarget: async (target) =>
        describeSqlTarget(await DuckdbLoadSession.open(await share("destination"), context, `DuckDB table ${target.table}`), target),
      openLoad: async (target) =>
        openSqlLoad(await DuckdbLoadSession.open(await share("destination"), context, `DuckDB table ${target.table}`), target),
      readLetters: (key, after) =>
        readSqlLetters(async () => DuckdbLoadSession.open(await share("destination"), context, `${what}, dead letters`), key, after),
    },
    source: createDuckdbSource(() => share("source"), what, context),
    sql: createDuckdbWarehouse(() => share("sql"), what, context),
    async [Symbol.asyncDispose]() {
      await (await shared?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
};
