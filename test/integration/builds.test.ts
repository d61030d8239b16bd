// A deploy as the guide tells it, with the processes that a user has: an API, workers of two builds, and one that serves another queue alone.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { Connection } from "@temporalio/client";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ApiClient, type RunView } from "../../bin/api-client.ts";
import { SupervisedProcess } from "../../bin/demo/processes.ts";
import { freePort } from "../../bin/ports.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import { registerSearchAttributes } from "../../bin/temporal.ts";
import { freshName, freshPostgresDatabase, temporalServer } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const [OLD, NEW] = ["2026-11-23.4f1c", "2026-11-24.9a07"];

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-builds-"));
const namespace = freshName("deploy").replaceAll("_", "-");
const started: SupervisedProcess[] = [];
let environment: NodeJS.ProcessEnv;
let api: ApiClient;

const start = (script: string, name: string, more: NodeJS.ProcessEnv = {}): SupervisedProcess => {
  const options = { script, env: () => ({ ...environment, ...more }), logFile: path.join(folder, `${name}.log`) };
  const supervised = new SupervisedProcess(options);
  supervised.start();
  started.push(supervised);
  return supervised;
};
const startBuild = (build: string): SupervisedProcess => start("bin/worker.ts", build, { DOWNBEAT_BUILD_ID: build });

beforeAll(async () => {
  const connection = await Connection.connect({ address: temporalServer().address });
  try {
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
    // A new namespace reaches all parts of the server within seconds.
    await waitUntil(() => registerSearchAttributes(connection, namespace), { timeoutMs: 60_000 });
  } finally {
    await connection.close();
  }
  const port = await freePort();
  const dataDir = path.join(folder, "data");
  mkdirSync(dataDir);
  environment = {
    ...process.env,
    DATABASE_URL: (await freshPostgresDatabase()).url,
    TEMPORAL_ADDRESS: temporalServer().address,
    TEMPORAL_NAMESPACE: namespace,
    DOWNBEAT_PORT: String(port),
    DOWNBEAT_DATA_DIR: dataDir,
    DOWNBEAT_SECRET_KEY: randomBytes(32).toString("hex"),
    DOWNBEAT_SHUTDOWN_GRACE: "1s",
    DOWNBEAT_COMMANDS: "date",
  };
  start("bin/api.ts", "api");
  api = new ApiClient({ baseUrl: `http://127.0.0.1:${port}`, patienceMs: 60_000 });
});
afterAll(async () => {
  await Promise.all(started.map((each) => each.stop()));
  rmSync(folder, { recursive: true, force: true });
});

const scripts = (JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as { scripts: Readonly<Record<string, string>> })
  .scripts;

/** The commands of the guide's deploy, in its order, as words. */
const guided = (): readonly (readonly string[])[] => {
  const guide = readFileSync(path.join(ROOT, "docs/guides/upgrading.md"), "utf8");
  const block = /A deploy is then:\s+```sh\n([^`]+)```/.exec(guide)?.[1] ?? "";
  return [...block.matchAll(/^npm run (\w+) -- ([^#\n]+)/gm)].map(([, script = "", args = ""]) => [script, ...args.trim().split(/\s+/)]);
};

/** What `npm run SCRIPT -- ARGS` prints; an exit code other than 0 is an error. */
const run = ([script = "", ...args]: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const file = scripts[script]?.split(" ").at(-1) ?? script;
    execFile(process.execPath, [path.join(ROOT, file), ...args], { env: environment, timeout: 90_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${script} ${args.join(" ")}: ${error.message}\n${stderr}${stdout}`));
    });
  });

interface Shown {
  readonly tasks: readonly { readonly id: string; readonly attempt_log: readonly { readonly worker: string | null }[] }[];
}

const trigger = async (): Promise<string> => {
  const { id } = await api.call<RunView>("POST", "/v1/pipelines/deployed/runs", {});
  await until(`${id} waits for its approval`, async () =>
    (await api.getRun(id)).tasks.some((task) => task.id === "asked" && task.status === "waiting"),
  );
  return id;
};

/** By which worker each of its tasks was done. */
const approved = async (id: string): Promise<Readonly<Record<string, string | null | undefined>>> => {
  await api.call("POST", `/v1/runs/${id}/tasks/asked/decide`, { approve: true, by: "the test" });
  expect((await api.followRun(id, () => undefined)).status).toBe("succeeded");
  const { tasks } = await api.call<Shown>("GET", `/v1/runs/${id}`);
  return Object.fromEntries(tasks.map((task) => [task.id, task.attempt_log.at(-1)?.worker]));
};

it("runs stay with the processes of the build that began them, new ones go to the next; a queue's tasks to who serves it", async () => {
  const nameOf = ({ pid }: SupervisedProcess): string => `${pid}@${hostname()}`;
  const old = startBuild(OLD);
  const apart = start("bin/worker.ts", "apart", { DOWNBEAT_QUEUES: "apart" });
  await run(["deployment", "current", OLD, "--wait", "90"]);
  await api.call("PUT", "/v1/pipelines/deployed", {
    apiVersion: "downbeat/v1",
    name: "deployed",
    tasks: [
      { id: "before", command: { run: ["date"] } },
      { id: "asked", needs: ["before"], approval: { message: "Go on?" } },
      { id: "elsewhere", needs: ["asked"], queue: "apart", command: { run: ["date"] } },
      { id: "each", needs: ["asked"], queue: "apart", for_each: { in: { range: { from: 1, to: 3 } } }, command: { run: ["date"] } },
      { id: "after", needs: ["elsewhere", "each"], command: { run: ["date"] } },
    ],
  });
  const [stays, last] = [await trigger(), await trigger()];

  const [replay = [], ramp = [], current = [], list = []] = guided();
  expect([ramp, current]).toEqual([
    ["deployment", "ramp", NEW, "10"],
    ["deployment", "current", NEW],
  ]);
  // Temporal's lists lag behind what the API says of the runs.
  const shows = (command: readonly string[], pattern: RegExp): Promise<void> =>
    vi.waitFor(async () => expect(await run(command)).toMatch(pattern), { timeout: 60_000, interval: 250 });
  await shows(replay, /run running +2 .* 2 +0 +0$/m);
  const next = startBuild(NEW);
  // The guide starts workers before it goes on; here they may take their time.
  await run([...ramp, "--wait", "90"]);
  await shows(list, new RegExp(`^${NEW} +ramping +10% `, "m"));
  expect(await run(current)).toContain(`new runs begin on ${NEW}`);

  const begun = await trigger();
  const byOld = { before: nameOf(old), elsewhere: nameOf(apart), after: nameOf(old) };
  expect(await approved(begun)).toMatchObject({ before: nameOf(next), elsewhere: nameOf(apart), after: nameOf(next) });
  expect(await approved(stays)).toMatchObject(byOld);
  await shows(list, new RegExp(`^${OLD} +draining +0% +1 +1$`, "m"));
  expect(await approved(last)).toMatchObject(byOld);
  await shows(list, new RegExp(`^${OLD} +\\w+ +0% +0 `, "m"));
  await old.stop();
  expect((await approved(await trigger()))["after"]).toBe(nameOf(next));
  for (const each of started) each.assertHealthy();
}, 240_000);
