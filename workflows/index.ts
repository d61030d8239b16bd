// Every workflow that the worker runs.

export { backfill } from "./backfill.ts";
export { inspect } from "./inspect.ts";
export { lateReport } from "./late-report.ts";
export { mapped } from "./mapped.ts";
export { pool } from "./pool.ts";
export { run } from "./run.ts";
export { trigger } from "./trigger.ts";
export { window } from "./window.ts";
