// Every workflow that the worker runs.

export { inspect } from "./inspect.ts";
export { mapped } from "./mapped.ts";
export { run } from "./run.ts";
