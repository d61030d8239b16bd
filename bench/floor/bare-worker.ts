// The floor's worker: bare Temporal with the same pollers and slots as ours. Usage: bare-worker.ts ADDRESS QUEUE

import path from "node:path";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";

const [address = "", taskQueue = ""] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  workflowsPath: path.join(import.meta.dirname, "bare-workflows.ts"),
  activities: { noop: () => Promise.resolve({ ok: true }) },
  maxConcurrentWorkflowTaskPolls: 5,
  maxConcurrentActivityTaskPolls: 5,
  maxConcurrentActivityTaskExecutions: 100,
});
await worker.run();
