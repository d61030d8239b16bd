// The publish verb: the rows of a warehouse query go to another system, as messages with stable keys or as files or tables.

import type { Source } from "../connectors/connector.ts";
import type { WriteMode } from "../connectors/connector.ts";
import { deliveryKey, loadKey, workKey } from "../core/ids.ts";
import { roleOf } from "./connections.ts";
import { moveLoad } from "./move-load.ts";
import { parseOptions } from "./options.ts";
import { openFor, renderedConfig, type SqlParams, type Verb, type VerbDeps } from "./verb.ts";

export interface PublishConfig {
  readonly from: { readonly connection: string; readonly query: string; readonly params?: SqlParams };
  readonly to: { readonly connection: string; readonly table?: string; readonly mode?: WriteMode; readonly [option: string]: unknown };
}

export const createPublish = (deps: VerbDeps): Verb => {
  return async (call, context) => {
    const config = await renderedConfig<PublishConfig>(deps, call);
    await using from = await openFor(deps, config.from.connection, context);
    await using to = await openFor(deps, config.to.connection, context);
    const warehouse = roleOf(from, "sql");
    const started = performance.now();
    const seconds = (): number => Math.round(performance.now() - started) / 1000;

    if (to.connector.publisher !== undefined) {
      const { connection: _, ...options } = config.to;
      const sent = await to.connector.publisher.publish(warehouse.query(config.from.query, config.from.params), {
        key: deliveryKey(call.run.origin, workKey(call.taskId, call.itemKey)),
        options: parseOptions(to, "publishOptions", options),
      });
      return { output: { ...sent }, metrics: { rows: sent.rows, bytes: sent.bytes, seconds: seconds() } };
    }

    const { connection: _, table = call.taskId, mode = "replace", ...options } = config.to;
    await using load = await roleOf(to, "destination").openLoad({
      key: loadKey(call.run.pipeline, workKey(call.taskId, call.itemKey), table),
      origin: call.run.origin,
      incremental: false,
      table,
      mode,
      keyColumns: [],
      schema: "evolve",
      options: parseOptions(to, "targetOptions", options),
      failpoint: deps.failpoint,
    });
    const source: Source = {
      discover: () => Promise.resolve([]),
      read: () => warehouse.query(config.from.query, config.from.params),
    };
    const figures = await moveLoad({
      source,
      load,
      request: { stream: table, options: {}, nullCursor: "fail" },
      limits: { maxRows: 0 },
      signal: context.signal,
      progress: context.heartbeat,
    });
    return {
      output: { table, rows: figures.rows, bytes: figures.bytes },
      metrics: { rows: figures.rows, bytes: figures.bytes, seconds: seconds() },
    };
  };
};
