// The sql verb: runs statements in the warehouse, and hands a small result to later tasks.

import type { SqlWarehouse } from "../connectors/connector.ts";
import { toRows } from "../connectors/lib/rows.ts";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { roleOf } from "./connections.ts";
import { openFor, renderedConfig, type SqlParams, type Verb, type VerbDeps } from "./verb.ts";

export interface SqlConfig {
  readonly connection: string;
  readonly query: string;
  readonly params?: SqlParams;
  /** A query whose rows become the task's output. */
  readonly output?: string;
}

export const createSql = (deps: VerbDeps): Verb => {
  return async (call, context) => {
    const config = await renderedConfig<SqlConfig>(deps, call);
    await using opened = await openFor(deps, config.connection, context);
    const warehouse = roleOf(opened, "sql");
    const started = performance.now();
    const { rowsAffected } = await warehouse.execute(config.query, config.params);
    const output = config.output === undefined ? null : await smallResult(warehouse, config.output, config.params);
    const seconds = Math.round(performance.now() - started) / 1000;
    return { output, metrics: { ...(rowsAffected === null ? {} : { rows: rowsAffected }), seconds } };
  };
};

const smallResult = async (warehouse: SqlWarehouse, query: string, params: SqlParams | undefined): Promise<readonly JsonObject[]> => {
  const rows: JsonObject[] = [];
  let bytes = 0;
  for await (const batch of warehouse.query(query, params)) {
    for (const row of toRows(batch)) {
      rows.push(row);
      bytes += JSON.stringify(row).length + 1;
      if (bytes > LIMITS.largeOutputBytes) {
        throw new DownbeatError(
          "OUTPUT_TOO_LARGE",
          `the output query's result is over ${LIMITS.largeOutputBytes} bytes (reached at row ${rows.length}); select fewer rows or columns, or write it to a table`,
          { details: { limit: LIMITS.largeOutputBytes, rows: rows.length } },
        );
      }
    }
  }
  return rows;
};
