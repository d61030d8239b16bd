// `npm run bench:merge`: changed rows of a MySQL table, found by a cursor and merged by key into a large DuckDB table, through API, Temporal and
// worker, against a bare deletion and insertion, and against dlt. ROWS, CHANGED, ROUNDS and PEERS make it smaller.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import type { RunView } from "../bin/api-client.ts";
import { formatTable, grouped } from "../bin/table.ts";
import { ORDERS_DATABASE, seedOrders } from "./data/orders.ts";
import { formatSpread, type Measure, median, runTurns, secondsOf } from "./lib/pairs.ts";
import { cpuSecondsOf } from "./lib/process-usage.ts";
import { runProgram } from "./lib/run-program.ts";
import { textOf, TOTALS } from "./transfer/direction.ts";
import { installDlt } from "./transfer/peers.ts";
import { startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 5_000_000);
/** In each round, spread evenly over the table; a divisor of ROWS. */
const CHANGED = Number(process.env["CHANGED"] ?? 20_000);
const ROUNDS = Number(process.env["ROUNDS"] ?? 9);
/** `none` leaves them out. */
const PEERS = process.env["PEERS"] ?? "all";

const ALLOWED_SECONDS = 2;
const FLOOR = path.resolve(import.meta.dirname, "floor");
const say = (line: string): void => console.log(line);

interface Contestant {
  readonly name: string;
  /** Moves the whole table once. */
  readonly fill: () => Promise<unknown>;
  /** `condition`: of the rows that have changed since. */
  readonly merge: (condition: string) => Promise<Measure>;
}

/** Their cursor values lie behind all of the rounds before. Answers the condition that they fulfil. */
const changeRows = async (mysql: Connection, round: number): Promise<string> => {
  const start = `timestamp '2030-01-01 00:00:00' + interval ${round} day`;
  const every = ROWS / CHANGED;
  await mysql.query(
    `update orders set amount = amount + 1, updated_at = ${start} + interval id microsecond where id % ${every} = ${round % every}`,
  );
  return `updated_at >= ${start}`;
};

const createOurs = async ({ api, mysql, workerPid, apiPid, freshWorker }: Systems, file: string): Promise<Contestant> => {
  const { host, port, user, password } = mysql;
  await api.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: ORDERS_DATABASE } });
  await api.call("PUT", "/v1/connections/warehouse", { kind: "duckdb", config: { path: file } });
  await api.call("PUT", "/v1/pipelines/merged", {
    apiVersion: "downbeat/v1",
    name: "merged",
    tasks: [
      {
        id: "orders",
        transfer: {
          from: { connection: "shop", stream: "orders", cursor: "updated_at", tinyint1: "bool" },
          to: { connection: "warehouse", table: "orders", mode: "merge", key: ["id"] },
        },
      },
    ],
  });
  await freshWorker();
  const run = async (rows: number): Promise<Measure> => {
    const pids = [workerPid(), apiPid];
    const cpu = cpuSecondsOf(pids);
    const started = performance.now();
    const ended = await api.call<RunView>("POST", "/v1/pipelines/merged/runs?wait=600s", {});
    const measure = { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(pids) - cpu };
    const moved = ended.tasks[0]?.metrics?.rows;
    if (ended.status !== "succeeded" || moved !== rows) {
      throw new Error(`the run ended ${ended.status} with ${moved} of ${rows} rows: ${JSON.stringify(ended.tasks[0]?.error)}`);
    }
    return measure;
  };
  return { name: "ours", fill: () => run(ROWS), merge: () => run(CHANGED) };
};

const contestantsOf = async (systems: Systems, folder: string): Promise<readonly Contestant[]> => {
  const { url: _, ...address } = systems.mysql;
  const source = { ...address, database: ORDERS_DATABASE, table: "orders" };
  const floorFile = path.join(folder, "floor.duckdb");
  const floor = (script: string, more: object, rows: number) =>
    runProgram(process.execPath, [path.join(FLOOR, script), JSON.stringify({ ...source, ...more }), floorFile, folder], rows);
  const contestants: Contestant[] = [
    await createOurs(systems, path.join(folder, "ours.duckdb")),
    {
      name: "deletion and insertion",
      fill: () => floor("mysql-to-duckdb.ts", {}, ROWS),
      merge: (condition) => floor("merge-into-duckdb.ts", { condition }, CHANGED),
    },
  ];
  if (PEERS === "none") return contestants;
  const { python, script } = await installDlt(say);
  const followed = JSON.stringify({ ...source, cursor: "updated_at", key: "id", home: path.join(folder, "dlt") });
  const move = (rows: number) => runProgram(python, [script, followed, path.join(folder, "dlt.duckdb"), folder], rows);
  return [...contestants, { name: "dlt", fill: () => move(ROWS), merge: () => move(CHANGED) }];
};

const sameRows = async (mysql: Connection, file: string): Promise<void> => {
  const [found] = await mysql.query<RowDataPacket[]>(`${TOTALS} orders`);
  const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY" });
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(`${TOTALS} orders`);
  const [expected, merged] = [textOf(found[0]), textOf(reader.getRowObjectsJson()[0])];
  connection.closeSync();
  instance.closeSync();
  if (expected !== merged) throw new Error(`MySQL has ${expected}, DuckDB ${merged}`);
};

const main = async (systems: Systems): Promise<number> => {
  const folder = path.join(systems.folder, "merge");
  mkdirSync(folder, { recursive: true });
  await seedOrders(systems.mysql, "orders", ROWS, folder);
  const { url: _, ...address } = systems.mysql;
  const mysql = await createConnection({ ...address, database: ORDERS_DATABASE, dateStrings: true });
  try {
    await mysql.query("create index orders_updated_at on orders (updated_at)");
    const contestants = await contestantsOf(systems, folder);
    for (const { name, fill } of contestants) {
      say(`${name}: ${grouped(ROWS)} rows`);
      await fill();
    }
    let condition = "";
    const measures = await runTurns(
      ROUNDS,
      contestants.map(
        ({ merge }) =>
          () =>
            merge(condition),
      ),
      async (round) => {
        condition = await changeRows(mysql, round);
      },
    );
    await systems.endWorker();
    await sameRows(mysql, path.join(folder, "ours.duckdb"));
    const figures = contestants.map(({ name }, place) => {
      const own = measures[place] ?? [];
      return { name, ...secondsOf(own), cpu_seconds: median(own.map(({ cpuSeconds }) => cpuSeconds)) };
    });
    say(
      formatTable(
        [`${grouped(CHANGED)} rows into ${grouped(ROWS)}`, "s (spread)", "CPU s"],
        figures.map((each) => [each.name, formatSpread(each), each.cpu_seconds.toFixed(1)]),
      ),
    );
    const worst = (figures[0]?.median ?? 0) / ALLOWED_SECONDS;
    say(`allowed: ${ALLOWED_SECONDS} s`);
    say(JSON.stringify({ bench: "merge", worst_ratio: worst, rows: ROWS, changed: CHANGED, rounds: ROUNDS, figures }));
    return worst <= 1 ? 0 : 1;
  } finally {
    await mysql.end();
  }
};

const systems = await startSystems(say, { sources: new Set(["mysql"]) });
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
