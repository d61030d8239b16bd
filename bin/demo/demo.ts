// `npm run demo`: the main job on real servers, twice per warehouse, compared with its sources; with --chaos under kills.

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ApiClient } from "../api-client.ts";
import { freePort } from "../ports.ts";
import { startKafka } from "../services/kafka.ts";
import { startMysql } from "../services/mysql.ts";
import { startPostgres } from "../services/postgres.ts";
import { startS3 } from "../services/s3.ts";
import { formatTable, grouped } from "../table.ts";
import { Chaos } from "./chaos.ts";
import { ClicksSource } from "./clicks.ts";
import { compareTotals } from "./compare.ts";
import { BUCKET, LakeSource } from "./lake.ts";
import { HELP, parseOptions, type DemoOptions } from "./options.ts";
import { OrdersSource } from "./orders.ts";
import { SupervisedProcess } from "./processes.ts";
import { createConnections, deploy, triggerAndFollow, type ConnectionInput } from "./scenario.ts";
import { SupervisedTemporal } from "./temporal.ts";
import { duckdbWarehouse, postgresWarehouse, type Warehouse } from "./warehouses.ts";
import { WebhookReceiver } from "./webhook.ts";

const say = (line: string): void => console.log(line);

interface Sources {
  readonly orders: OrdersSource;
  readonly clicks: ClicksSource;
  readonly lake: LakeSource;
}

type Moved = Readonly<Record<string, number>>;

const seed = async ({ orders, clicks, lake }: Sources): Promise<Moved> => {
  const [orderRows, clickRows, lakeRows] = await Promise.all([orders.seed(), clicks.seed(), lake.seed()]);
  return { orders: orderRows, clicks: clickRows, ...lakeRows };
};

const change = async ({ orders, clicks, lake }: Sources, round: number): Promise<Moved> => {
  const [orderRows, clickRows, lakeRows] = await Promise.all([orders.change(round), clicks.change(round), lake.change(round)]);
  return { orders: orderRows, clicks: clickRows, ...lakeRows };
};

const runDemo = async (options: DemoOptions, folder: string, onStop: (cleanup: () => Promise<void> | void) => void): Promise<boolean> => {
  say("Starting MySQL, Kafka, S3, PostgreSQL and Temporal …");
  const service = (name: string) => ({ dir: path.join(folder, name), say });
  const temporal = new SupervisedTemporal(folder, say);
  const [mysql, kafka, s3, postgres] = await Promise.all([
    startMysql(service("mysql")),
    startKafka(service("kafka")),
    startS3(service("s3")),
    startPostgres(service("postgres")),
  ]);
  for (const server of [mysql, kafka, s3, postgres]) onStop(() => server.stop());
  await temporal.start();
  onStop(() => temporal.stop());

  const webhook = new WebhookReceiver();
  const webhookUrl = await webhook.listen();
  onStop(() => webhook.close());

  const sources: Sources = {
    orders: new OrdersSource(mysql.address, options.orders),
    clicks: new ClicksSource(kafka.address.brokers, options.clicks),
    lake: new LakeSource(s3.address),
  };
  say(`Seeding ${grouped(options.orders)} orders, ${grouped(options.clicks)} clicks and the files …`);
  const seeded = await seed(sources);

  const port = await freePort();
  const dataDir = path.join(folder, "data");
  mkdirSync(dataDir, { recursive: true });
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    DATABASE_URL: postgres.address.url,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_UI_URL: temporal.uiUrl,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_DATA_DIR: dataDir,
    DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
    DOWNBEAT_SHUTDOWN_GRACE: "3s",
  };
  const chaos = options.chaos ? new Chaos(options.seed, options.kills, say) : undefined;
  const apiProcess = new SupervisedProcess({
    script: "bin/api.ts",
    env: () => environment,
    logFile: path.join(folder, "api.log"),
  });
  const workerProcess = new SupervisedProcess({
    script: "bin/worker.ts",
    env: () => ({ ...environment, ...chaos?.nextWorkerEnvironment() }),
    logFile: path.join(folder, "worker.log"),
    onKilled: () => chaos?.workerDied(),
  });
  apiProcess.start();
  workerProcess.start();
  onStop(() => workerProcess.stop());
  onStop(() => apiProcess.stop());
  chaos?.attach({ api: apiProcess, worker: workerProcess, temporal });

  const api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 120_000 });
  const warehouses: readonly Warehouse[] = [duckdbWarehouse(path.join(dataDir, "warehouse.duckdb")), postgresWarehouse(postgres.address)];
  const connections: readonly ConnectionInput[] = [
    { name: "shop", kind: "mysql", config: sources.orders.connection() },
    { name: "events", kind: "kafka", config: { brokers: kafka.address.brokers } },
    {
      name: "lake",
      kind: "s3",
      config: {
        bucket: BUCKET,
        endpoint: s3.address.endpoint,
        region: s3.address.region,
        path_style: true,
        access_key_id: s3.address.accessKeyId,
        secret_access_key: s3.address.secretAccessKey,
      },
    },
    { name: "partner", kind: "http", config: { base_url: webhookUrl } },
    ...warehouses.map(({ name, connection }) => ({ name: `warehouse_${name}`, kind: connection.kind, config: connection.config })),
  ];
  say("Creating and checking connections …");
  await createConnections(api, connections, say);
  for (const { name } of warehouses) await deploy(api, `commerce_${name}`, `warehouse_${name}`, say);

  const table: string[][] = [];
  let isRight = true;
  let expectedKeys = 0;
  for (const [round, expected] of [seeded, undefined].entries()) {
    const moved = expected ?? (say("\nChanging the sources: inserts, updates, messages, files …"), await change(sources, round));
    for (const { name } of warehouses) {
      say(`\n${round === 0 ? "First" : "Second"} run to ${name}:`);
      await chaos?.beginRun();
      const run = await triggerAndFollow(api, `commerce_${name}`, `${name}-${round}`, say, (polled) => {
        apiProcess.assertHealthy();
        workerProcess.assertHealthy();
        chaos?.observe(polled);
      });
      for (const task of run.tasks) {
        const rows = task.metrics?.rows;
        const wanted = moved[task.id];
        const isExact = wanted === undefined || rows === wanted;
        if (!isExact) isRight = false;
        const attempts = task.attempt_log.reduce((sum, entry) => sum + 1 + entry.lost_attempts, 0);
        table.push([
          name,
          String(round + 1),
          task.id,
          rows === undefined ? "" : grouped(rows),
          wanted === undefined ? "" : grouped(wanted),
          task.metrics?.seconds?.toFixed(1) ?? "",
          String(attempts),
          isExact ? task.status : "WRONG",
        ]);
      }
      const output = run.tasks.find((task) => task.id === "publish_webhook")?.output as { readonly messages?: number } | null;
      expectedKeys += output?.messages ?? 0;
    }
  }

  say(`\n${formatTable(["warehouse", "run", "task", "rows", "expected", "seconds", "tries", "result"], table)}`);
  chaos?.disarm();
  await workerProcess.stop();
  const compared = await compareTotals(warehouses, sources);
  say(`\n${formatTable(["table", "where", "rows", "distinct ids", "sum", "equal"], compared.rows)}`);
  const keysRight = webhook.distinctKeys === expectedKeys && expectedKeys > 0 && !webhook.hasUnkeyed;
  say(
    `\nWebhook: ${webhook.deliveries} deliveries, ${webhook.distinctKeys} distinct keys, ${expectedKeys} expected: ${keysRight ? "equal" : "WRONG"}`,
  );
  const chaosRight = chaos === undefined || chaos.summary();
  return isRight && compared.isEqual && keysRight && chaosRight;
};

const options = parseOptions(process.argv.slice(2));
if (options === "help") console.log(HELP);
else {
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-demo-"));
  // Servers that refuse to run as root run as users of their own, which have to pass through.
  chmodSync(folder, 0o755);
  const cleanups: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed())
      await Promise.resolve(cleanup()).catch((error: unknown) => console.error(String(error)));
    if (options.keep) say(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  };
  process.on("SIGINT", () => void stop().finally(() => process.exit(130)));
  if (options.chaos) say(`Chaos with seed ${options.seed}: repeat it with --seed ${options.seed}`);
  try {
    const isRight = await runDemo(options, folder, (cleanup) => void cleanups.push(cleanup));
    say(isRight ? "\nEvery total equals its source." : "\nSomething differs: see WRONG above.");
    process.exitCode = isRight ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    await stop();
  }
}
