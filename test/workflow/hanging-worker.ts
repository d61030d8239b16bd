// A worker that takes tasks and never finishes them, to be killed by its test. Usage: hanging-worker.ts ADDRESS QUEUE

import { Context } from "@temporalio/activity";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";

const [address = "", taskQueue = ""] = process.argv.slice(2);

const hang = async (): Promise<never> => {
  console.log("taken");
  setInterval(() => Context.current().heartbeat(), 100);
  return new Promise<never>(() => undefined);
};

Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  activities: { sql: hang, own: hang },
  maxHeartbeatThrottleInterval: "100ms",
});
await worker.run();
