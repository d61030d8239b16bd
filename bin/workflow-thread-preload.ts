// Loaded by the threads of workflow-threads.ts before all else: a promise hook that is set in this thread hooks nothing.

import v8 from "node:v8";

v8.promiseHooks.createHook = () => () => undefined;
