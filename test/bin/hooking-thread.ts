// A thread that tells how many promises it hooks, as Temporal's SDK hooks those of workflow code.

import v8 from "node:v8";
import { parentPort } from "node:worker_threads";

let hooked = 0;
v8.promiseHooks.createHook({
  init: () => {
    hooked += 1;
  },
});
await Promise.resolve();
parentPort?.postMessage(hooked);
