// The floor of bench:changes: MySQL's log read and decoded to columns from a place to its end, and nothing done with them.
// Arguments: the address with database and table as JSON, and the place. Prints rows, seconds and CPU seconds.

import { mysql } from "../../connectors/mysql/spec.ts";

const [address = "{}", place = "{}"] = process.argv.slice(2);
const { table, ...config } = JSON.parse(address) as Readonly<Record<string, unknown>> & { readonly table: string };

const silent = (): void => undefined;
await using connector = await mysql.open(mysql.config.parse(config), {
  signal: new AbortController().signal,
  log: { debug: silent, info: silent, warn: silent },
  progress: silent,
  tempDir: ".",
  baseDir: ".",
});
const { source } = connector;
if (source?.bounds === undefined) throw new Error("MySQL is a source with bounds");
const request = {
  stream: table,
  options: mysql.sourceOptions?.parse({ changes: true, tinyint1: "bool" }) as Readonly<Record<string, unknown>>,
  nullCursor: "fail",
  newRun: true,
  position: JSON.parse(place) as null,
  seen: () => Promise.resolve(new Set<string>()),
} as const;
const bounds = await source.bounds(request);
const started = performance.now();
const cpu = process.cpuUsage();
let rows = 0;
for await (const batch of source.read({ ...request, bounds })) rows += batch.rows;
const seconds = (performance.now() - started) / 1_000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ rows, seconds, cpuSeconds: (user + system) / 1e6 }));
