// Every workflow that the worker runs.

export { inspect } from "./inspect.ts";
export { run } from "./run.ts";
