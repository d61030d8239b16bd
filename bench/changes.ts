// `npm run bench:changes`: inserts, updates and deletions of a MySQL table, followed by its binary log into DuckDB and PostgreSQL,
// through API, Temporal and worker; the floor decodes the same log and does nothing with it. ROWS, CHANGES and PAIRS make it smaller.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import type { RunView } from "../bin/api-client.ts";
import { formatTable, grouped } from "../bin/table.ts";
import { createChanger } from "./data/order-changes.ts";
import { ORDERS_DATABASE, seedOrders } from "./data/orders.ts";
import { formatSpread, type Measure, median, runPairs, secondsOf } from "./lib/pairs.ts";
import { cpuSecondsOf, peakMegabytesOf } from "./lib/process-usage.ts";
import { startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 1_000_000);
/** Of each pair; a multiple of 10,000. */
const CHANGES = Number(process.env["CHANGES"] ?? 200_000);
const PAIRS = Number(process.env["PAIRS"] ?? 5);

const WANTED_PER_SECOND = 20_000;
const ALLOWED_RATIO = 1.5;
const say = (line: string): void => console.log(line);

interface Place {
  readonly server: string;
  readonly log: { readonly file: string; readonly offset: number };
}

const placeNow = async (connection: Connection): Promise<Place> => {
  const [[status]] = (await connection.query("show master status")) as unknown as [readonly RowDataPacket[]];
  const [[server]] = (await connection.query("select @@server_id as id")) as unknown as [readonly RowDataPacket[]];
  return { server: String(server?.["id"]), log: { file: String(status?.["File"]), offset: Number(status?.["Position"]) } };
};

const deploy = async ({ api, mysql: { host, port, user, password } }: Systems, connection: string): Promise<void> => {
  await api.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: ORDERS_DATABASE } });
  await api.call("PUT", `/v1/pipelines/into_${connection}`, {
    apiVersion: "downbeat/v1",
    name: `into_${connection}`,
    tasks: [
      {
        id: "orders",
        transfer: {
          from: { connection: "shop", stream: "orders", changes: true, tinyint1: "bool" },
          to: { connection, table: "orders", mode: "merge", key: ["id"] },
        },
      },
    ],
  });
};

/** One run; answers how many rows it has moved, too. */
const follow = async (systems: Systems, connection: string): Promise<Measure & { readonly rows: number }> => {
  const pids = [systems.workerPid(), systems.apiPid];
  const cpu = cpuSecondsOf(pids);
  const started = performance.now();
  const ended = await systems.api.call<RunView>("POST", `/v1/pipelines/into_${connection}/runs?wait=600s`, {});
  const measure = { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(pids) - cpu };
  if (ended.status !== "succeeded")
    throw new Error(`into ${connection}: the run ended ${ended.status}: ${JSON.stringify(ended.tasks[0]?.error)}`);
  return { ...measure, rows: ended.tasks[0]?.metrics?.rows ?? 0 };
};

const decode = async ({ mysql: { host, port, user, password } }: Systems, place: Place): Promise<Measure & { readonly rows: number }> => {
  const file = path.resolve(import.meta.dirname, "floor/decode-log.ts");
  const address = JSON.stringify({ host, port, user, password, database: ORDERS_DATABASE, table: "orders" });
  const { stdout } = await promisify(execFile)(process.execPath, [file, address, JSON.stringify(place)]);
  return JSON.parse(stdout) as Measure & { readonly rows: number };
};

/** The two follow the same changes, one after the other; who begins alternates. */
const measure = async (systems: Systems, connection: string, place: () => Promise<Place>, change: () => Promise<void>) => {
  await deploy(systems, connection);
  await systems.freshWorker();
  await follow(systems, connection);
  const checked = async (work: Promise<Measure & { readonly rows: number }>): Promise<Measure> => {
    const { rows, ...found } = await work;
    if (rows !== CHANGES) throw new Error(`${connection}: ${rows} of ${CHANGES} changes came`);
    return found;
  };
  let start = await place();
  const results = await runPairs(
    PAIRS,
    () => checked(follow(systems, connection)),
    () => checked(decode(systems, start)),
    async () => {
      start = await place();
      await change();
    },
  );
  const [ours, floor] = [secondsOf(results.ours), secondsOf(results.floor)];
  const cpu = (measures: readonly Measure[]): number => median(measures.map(({ cpuSeconds }) => cpuSeconds));
  const perSecond = Math.round(CHANGES / ours.median);
  return {
    into: connection,
    rows: ROWS,
    changes: CHANGES,
    pairs: PAIRS,
    ours,
    floor,
    ratio: ours.median / floor.median,
    changes_per_second: perSecond,
    cpu_seconds: { ours: cpu(results.ours), floor: cpu(results.floor) },
    peak_megabytes: peakMegabytesOf(systems.workerPid()),
    measured_by_allowed: { speed: WANTED_PER_SECOND / perSecond, time: ours.median / floor.median / ALLOWED_RATIO },
  };
};

const main = async (systems: Systems): Promise<number> => {
  const { host, port, user, password, database, url: _ } = systems.postgres;
  await systems.api.call("PUT", "/v1/connections/duckdb", { kind: "duckdb", config: { path: path.join(systems.folder, "w.duckdb") } });
  await systems.api.call("PUT", "/v1/connections/postgres", { kind: "postgres", config: { host, port, user, password, database } });
  await seedOrders(systems.mysql, "orders", ROWS, systems.folder);
  const { url: _url, ...address } = systems.mysql;
  const mysql = await createConnection({ ...address, database: ORDERS_DATABASE });
  const change = createChanger(mysql, ROWS);
  const figures = [];
  try {
    for (const connection of ["duckdb", "postgres"]) {
      say(`${grouped(ROWS)} rows into ${connection}, then ${PAIRS} times ${grouped(CHANGES)} changes`);
      figures.push(
        await measure(
          systems,
          connection,
          () => placeNow(mysql),
          () => change(CHANGES),
        ),
      );
    }
  } finally {
    await mysql.end();
  }
  say(
    formatTable(
      ["into", "ours s (spread)", "decoding alone s (spread)", "ratio", "changes/s", "CPU s ours", "decoding", "MB"],
      figures.map(({ into, ours, floor, ratio, changes_per_second, cpu_seconds, peak_megabytes }) => [
        into,
        formatSpread(ours),
        formatSpread(floor),
        ratio.toFixed(2),
        grouped(changes_per_second),
        cpu_seconds.ours.toFixed(1),
        cpu_seconds.floor.toFixed(1),
        peak_megabytes.toFixed(0),
      ]),
    ),
  );
  say(`wanted: ${grouped(WANTED_PER_SECOND)} changes a second, and at most ${ALLOWED_RATIO} times the time of decoding`);
  const worst = Math.max(...figures.flatMap(({ measured_by_allowed }) => Object.values(measured_by_allowed)));
  say(JSON.stringify({ bench: "changes", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

const systems = await startSystems(say, { sources: new Set(["mysql"]), binlog: true });
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
