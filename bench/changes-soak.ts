// `npm run bench:changes-soak`: changes of a MySQL table come at a steady rate, for as long as it takes, and one run follows them;
// sampled are the worker's memory and how far the destination lags behind. CHANGES, RATE, ROWS and INTO say how many, how fast and where to.

import { setTimeout as pause } from "node:timers/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import pg from "pg";
import type { RunView } from "../bin/api-client.ts";
import { waitUntil } from "../bin/services/wait.ts";
import { formatTable, grouped } from "../bin/table.ts";
import { CHANGES_OF_A_TURN, createChanger } from "./data/order-changes.ts";
import { ORDERS_DATABASE, seedOrders } from "./data/orders.ts";
import { median } from "./lib/pairs.ts";
import { megabytesOf } from "./lib/process-usage.ts";
import { startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 1_000_000);
/** A multiple of 10,000. */
const CHANGES = Number(process.env["CHANGES"] ?? 5_000_000);
const RATE = Number(process.env["RATE"] ?? 20_000);
const INTO = process.env["INTO"] ?? "duckdb";

const FIRST = 1_000_000;
const ALLOWED_GROWTH = 1.2;
const ALLOWED_LAG_SECONDS = 5;
const SAMPLE_MS = 1_000;
const PURGE_MS = 60_000;
const TELL_MS = 30_000;
/** How long the last changes may take to arrive. */
const LAST_MS = 120_000;

/** The same over both tables where the rows are the same. */
const SUMS = "count(*) as n, sum(id) as ids, sum(customer_id) as customers, sum(amount) as amounts";

const say = (line: string): void => console.log(line);

interface Sample {
  /** Made so far. */
  readonly changes: number;
  readonly megabytes: number;
  readonly lagSeconds: number;
}

/** Until when the source's changes are in the destination, in seconds since 1970; undefined before the first commit. */
const asOfNow = async ({ workerUrl }: Systems): Promise<number | undefined> => {
  const text = await fetch(`${workerUrl}/metrics`).then(
    (response) => response.text(),
    () => "",
  );
  const found = /^downbeat_changes_as_of_timestamp_seconds\{[^}]*\} ([\d.e+]+)/m.exec(text);
  return found === null ? undefined : Number(found[1]);
};

const until = (what: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> =>
  waitUntil(
    async () => {
      if (!(await isSo())) throw new Error(`${what} has not come`);
    },
    { timeoutMs },
  );

const follow = async ({ api, folder, mysql, postgres }: Systems): Promise<string> => {
  const { host, port, user, password } = mysql;
  const { url: _, ...warehouse } = postgres;
  await api.call("PUT", "/v1/connections/shop", { kind: "mysql", config: { host, port, user, password, database: ORDERS_DATABASE } });
  await api.call("PUT", "/v1/connections/duckdb", { kind: "duckdb", config: { path: path.join(folder, "w.duckdb") } });
  await api.call("PUT", "/v1/connections/postgres", { kind: "postgres", config: warehouse });
  await api.call("PUT", "/v1/pipelines/orders", {
    apiVersion: "downbeat/v1",
    name: "orders",
    tasks: [
      {
        id: "orders",
        transfer: {
          from: { connection: "shop", stream: "orders", changes: true, tinyint1: "bool" },
          to: { connection: INTO, table: "orders", mode: "merge", key: ["id"] },
          follow: { every: "1s" },
        },
      },
    ],
  });
  return (await api.call<RunView>("POST", "/v1/pipelines/orders/runs", {})).id;
};

/** Logs are kept for as long as the run may lag at most, not for all that the soak makes. */
const purge = (mysql: Connection): Promise<unknown> => mysql.query("purge binary logs before now() - interval 2 minute");

/** Makes the changes as they are due; behind that it makes them as fast as it can. */
const makeChanges = async (systems: Systems, mysql: Connection): Promise<readonly Sample[]> => {
  const change = createChanger(mysql, ROWS);
  const samples: Sample[] = [];
  const began = performance.now();
  let [sampled, told, purged] = [began, began, began];
  for (let made = 0; made < CHANGES; ) {
    await change(CHANGES_OF_A_TURN);
    made += CHANGES_OF_A_TURN;
    const now = performance.now();
    if (now - sampled >= SAMPLE_MS) {
      sampled = now;
      const lagSeconds = Date.now() / 1_000 - ((await asOfNow(systems)) ?? 0);
      samples.push({ changes: made, megabytes: megabytesOf(systems.workerPid()), lagSeconds });
    }
    if (now - purged >= PURGE_MS) {
      purged = now;
      await purge(mysql);
    }
    const last = samples.at(-1);
    if (now - told >= TELL_MS && last !== undefined) {
      told = now;
      say(`${grouped(made)} changes, the worker has ${last.megabytes.toFixed(0)} MB, the destination lags ${last.lagSeconds.toFixed(1)} s`);
    }
    await pause(Math.max(0, (made / RATE) * 1_000 - (performance.now() - began)));
  }
  say(`${grouped(CHANGES)} changes at ${grouped(Math.round(CHANGES / ((performance.now() - began) / 1_000)))} a second`);
  return samples;
};

const sumsOf = (row: Readonly<Record<string, unknown>> | undefined): string => JSON.stringify(Object.values(row ?? {}).map(String));

const sumsInWarehouse = async ({ postgres, folder }: Systems): Promise<string> => {
  if (INTO === "postgres") {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    try {
      return sumsOf((await client.query<Record<string, unknown>>(`select ${SUMS} from orders`)).rows[0]);
    } finally {
      await client.end();
    }
  }
  const instance = await DuckDBInstance.create(path.join(folder, "w.duckdb"));
  const connection = await instance.connect();
  const found = await connection.runAndReadAll(`select ${SUMS} from orders`);
  return sumsOf(found.getRowObjectsJson()[0]);
};

const sumsInMysql = async (mysql: Connection): Promise<string> => {
  const [[row]] = (await mysql.query(`select ${SUMS} from orders`)) as unknown as [readonly RowDataPacket[]];
  return sumsOf(row);
};

const most = (values: readonly number[]): number => values.reduce((largest, value) => Math.max(largest, value), 0);

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * part)] ?? 0;

const main = async (systems: Systems): Promise<number> => {
  await seedOrders(systems.mysql, "orders", ROWS, systems.folder);
  const { url: _, ...address } = systems.mysql;
  const mysql = await createConnection({ ...address, database: ORDERS_DATABASE });
  try {
    await mysql.query("set global max_binlog_size = 268435456");
    await systems.freshWorker();
    const run = await follow(systems);
    await until("the first load", 600_000, async () => (await asOfNow(systems)) !== undefined);
    say(`${grouped(ROWS)} rows are in ${INTO}; now ${grouped(CHANGES)} changes, ${grouped(RATE)} a second`);
    const samples = await makeChanges(systems, mysql);
    const ended = Date.now() / 1_000;
    await until("the last change", LAST_MS, async () => ((await asOfNow(systems)) ?? 0) > ended);
    await systems.api.call("POST", `/v1/runs/${run}/cancel`, {});
    await until("the run's end", LAST_MS, async () => (await systems.api.call<RunView>("GET", `/v1/runs/${run}`)).status === "cancelled");
    await systems.endWorker();
    const [source, destination] = [await sumsInMysql(mysql), await sumsInWarehouse(systems)];
    if (source !== destination) throw new Error(`${INTO} has other rows than MySQL: ${destination}, not ${source}`);
    const first = most(samples.filter(({ changes }) => changes <= FIRST).map(({ megabytes }) => megabytes));
    const later = most(samples.filter(({ changes }) => changes > FIRST).map(({ megabytes }) => megabytes));
    const lags = samples.map(({ lagSeconds }) => lagSeconds);
    const lag = { median: median(lags), most_of_them: quantile(lags, 0.99), most: most(lags) };
    say(
      formatTable(
        ["into", "changes", "MB at most, first million", "afterwards", "growth", "lag s, median", "99 of 100", "at most"],
        [
          [
            INTO,
            grouped(CHANGES),
            first.toFixed(0),
            later.toFixed(0),
            (later / first).toFixed(2),
            lag.median.toFixed(1),
            lag.most_of_them.toFixed(1),
            lag.most.toFixed(1),
          ],
        ],
      ),
    );
    say(
      `the rows are the same; wanted: at most ${ALLOWED_GROWTH} times the first million's memory, and 99 of 100 lags below ${ALLOWED_LAG_SECONDS} s`,
    );
    const worst = Math.max(later / first / ALLOWED_GROWTH, lag.most_of_them / ALLOWED_LAG_SECONDS);
    const figures = { into: INTO, changes: CHANGES, rate: RATE, first_megabytes: first, later_megabytes: later, lag_seconds: lag };
    say(JSON.stringify({ bench: "changes-soak", worst_ratio: worst, figures }));
    return worst <= 1 ? 0 : 1;
  } finally {
    await mysql.end();
  }
};

const systems = await startSystems(say, { sources: new Set(["mysql"]), binlog: true });
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
