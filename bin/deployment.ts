// `npm run deployment`: which builds there are, which one takes new runs, and how open runs leave a build.

import { parseArgs } from "node:util";
import { DEFAULT_QUEUE } from "../core/ids.ts";
import { runCommand, wholeArgument } from "./command-line.ts";
import { parseConfig, UNVERSIONED } from "./config.ts";
import { formatTable } from "./table.ts";
import { connectClient } from "./temporal.ts";
import { workerDeployment } from "./worker-deployment.ts";

const USAGE = `npm run deployment -- list
npm run deployment -- current BUILD [--wait SECONDS]
npm run deployment -- ramp BUILD PERCENT [--wait SECONDS]
npm run deployment -- move FROM TO [--workflow ID]

Builds are workers with the same DOWNBEAT_BUILD_ID. A run stays on the build that began it.

  list      builds, their share of new runs, open workflows and workers
  current   all new runs begin on BUILD; "${UNVERSIONED}": on workers without a build id
  ramp      PERCENT of the new runs begin on BUILD; 0 ends it
  move      what is open of build FROM goes on with TO; ask npm run replay first whether it can

  --wait      how long to wait for the build's first worker; default: 30
  --workflow  only this one

Temporal is the one of the environment.`;

const given = (positionals: readonly string[], ...names: readonly string[]): readonly string[] => {
  const [command = "", ...values] = positionals;
  if (values.length === names.length) return values;
  const error = new TypeError(`${command} takes ${names.length === 0 ? "nothing" : names.join(" and ")}`);
  throw Object.assign(error, { code: "ERR_PARSE_ARGS_POSITIONALS" });
};

await runCommand(USAGE, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { wait: { type: "string", default: "30" }, workflow: { type: "string" } },
  });
  const patienceMs = wholeArgument("--wait", values.wait, 0, 3_600) * 1_000;
  const { temporal } = parseConfig(process.env);
  const connection = await connectClient(temporal);
  const deployment = workerDeployment({ connection, namespace: temporal.namespace, taskQueue: DEFAULT_QUEUE });
  switch (positionals[0] ?? "list") {
    case "list": {
      const rows = (await deployment.list()).map((build) => [
        build.id,
        build.status,
        `${build.percent}%`,
        build.openWorkflows,
        build.workers,
      ]);
      console.log(formatTable(["build", "status", "new runs", "open workflows", "workers"], rows));
      return true;
    }
    case "current": {
      const [build = ""] = given(positionals, "BUILD");
      await deployment.setCurrent(build, patienceMs);
      console.log(`new runs begin on ${build}`);
      return true;
    }
    case "ramp": {
      const [build = "", percent = ""] = given(positionals, "BUILD", "PERCENT");
      await deployment.ramp(build, wholeArgument("PERCENT", percent, 0, 100), patienceMs);
      console.log(`${percent}% of the new runs begin on ${build}`);
      return true;
    }
    case "move": {
      const [from = "", to = ""] = given(positionals, "FROM", "TO");
      const moved = await deployment.move(from, to, values.workflow);
      for (const id of moved) console.log(`${id} goes on with ${to}`);
      if (moved.length === 0) console.log(`nothing is open of build ${from}`);
      return moved.length > 0;
    }
    default:
      throw Object.assign(new TypeError(`there is no command "${positionals[0]}"`), { code: "ERR_PARSE_ARGS_POSITIONALS" });
  }
});
