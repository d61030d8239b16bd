// `npm run replay`: would this build go on with the runs of a production Temporal? Replays their histories and says which would break.

import { parseArgs } from "node:util";
import { DefaultLogger, Runtime } from "@temporalio/worker";
import { bundleWorkflows } from "./bundle-workflows.ts";
import { runCommand, wholeArgument } from "./command-line.ts";
import { parseConfig } from "./config.ts";
import { DEFAULT_QUERY, type Replayed, replayNewest } from "./replay-histories.ts";
import { formatTable, grouped } from "./table.ts";
import { connectClient } from "./temporal.ts";

const USAGE = `npm run replay -- [--from HOST:PORT] [--namespace NAME] [--limit N] [--query QUERY]

Replays the newest workflow histories of a Temporal namespace, ended and open ones, against this build. Only reads there.
Ends with 0 when all replay, with 1 when some would break, with 2 when it could not tell.

  --from        address of Temporal; default: TEMPORAL_ADDRESS
  --namespace   default: TEMPORAL_NAMESPACE, or "default"
  --limit       how many, the newest first; default: 100
  --query       which, as Temporal's list filter; default: ${DEFAULT_QUERY}

API key, TLS and certificates come from the environment, as for every process.`;

const PROGRESS_EVERY = 25;

const isTrouble = ({ end }: Replayed): boolean => end === "breaks";

const report = (results: readonly Replayed[]): void => {
  const kindOf = ({ type, status }: Replayed): string => `${type} ${status}`;
  const rows = [...new Set(results.map(kindOf))].toSorted().map((kind) => {
    const own = results.filter((result) => kindOf(result) === kind);
    const count = (end: Replayed["end"]): string => grouped(own.filter((result) => result.end === end).length);
    const events = own.reduce((sum, result) => sum + result.events, 0);
    return [kind, grouped(own.length), grouped(events), count("same"), count("skipped"), count("breaks")];
  });
  console.log(`\n${formatTable(["workflow", "histories", "events", "same", "skipped", "breaks"], rows)}`);
  const told = [...results.filter(isTrouble), ...results.filter(({ end }) => end === "skipped")];
  for (const { workflowId, runId, status, end, event, reason = "" } of told) {
    const place = event === undefined ? "" : `, event ${event}`;
    console.log(`\n${end === "breaks" ? "BREAKS" : "skipped"} ${workflowId} (${runId}, ${status}${place})\n  ${reason}`);
  }
  const broken = results.filter(isTrouble).length;
  console.log(broken === 0 ? "\nThis build goes on with all that were replayed." : `\n${grouped(broken)} would break under this build.`);
};

await runCommand(USAGE, async () => {
  const { values } = parseArgs({
    options: {
      from: { type: "string" },
      namespace: { type: "string" },
      limit: { type: "string", default: "100" },
      query: { type: "string", default: DEFAULT_QUERY },
    },
  });
  const limit = wholeArgument("--limit", values.limit, 1, 100_000);
  const { temporal } = parseConfig({
    ...process.env,
    ...(values.from === undefined ? {} : { TEMPORAL_ADDRESS: values.from }),
    ...(values.namespace === undefined ? {} : { TEMPORAL_NAMESPACE: values.namespace }),
  });
  // What breaks is told below; the SDK would tell it once more, at length.
  Runtime.install({
    logger: new DefaultLogger("ERROR", () => undefined),
    telemetryOptions: { logging: { forward: {}, filter: { core: "ERROR", other: "ERROR" } } },
  });
  const connection = await connectClient(temporal);
  const options = { connection, namespace: temporal.namespace, query: values.query, limit, bundle: () => bundleWorkflows([]) };
  const results: Replayed[] = [];
  for await (const result of replayNewest(options)) {
    results.push(result);
    if (isTrouble(result)) console.log(`✗ ${result.workflowId}`);
    else if (results.length % PROGRESS_EVERY === 0) console.log(`  ${results.length} replayed`);
  }
  report(results);
  await connection.close();
  return !results.some(isTrouble);
});
