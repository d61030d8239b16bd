// A worker's load out of a tap into DuckDB, to be killed at a failpoint. Usage: singer-load.ts SETTINGS, as JSON

import { moveLoad } from "../../activities/move-load.ts";
import { createFailpoint } from "../../bin/failpoints.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { singer } from "../../connectors/singer/spec.ts";

export interface LoadSettings {
  readonly tap: Readonly<Record<string, unknown>>;
  readonly allowed: readonly string[];
  readonly stream: string;
  readonly cursor: string;
  readonly warehouse: string;
  readonly folder: string;
  readonly origin: string;
  readonly failpoints?: string;
}

const settings = JSON.parse(process.argv[2] ?? "") as LoadSettings;
const { folder, stream, cursor } = settings;
const signal = new AbortController().signal;
const silent = (): void => undefined;
const context = {
  signal,
  progress: silent,
  log: { debug: silent, info: silent, warn: silent },
  tempDir: folder,
  baseDir: folder,
  programs: { allowed: settings.allowed, images: [], environment: { PATH: "/usr/bin:/bin" }, folder },
};
await using from = await singer.open(singer.config.parse(settings.tap), context);
await using to = await duckdb.open(duckdb.config.parse({ path: settings.warehouse, threads: 1 }), context);
await using load = await to.destination!.openLoad({
  key: "shop/orders/orders",
  origin: settings.origin,
  incremental: true,
  table: "orders",
  mode: "merge",
  keyColumns: ["id"],
  schema: "evolve",
  options: {},
  failpoint: createFailpoint(settings.failpoints),
});
const figures = await moveLoad({
  source: from.source!,
  load,
  request: { stream, cursor, options: {}, nullCursor: "fail" },
  limits: { maxRows: 0 },
  signal,
  progress: silent,
});
console.log(JSON.stringify(figures));
