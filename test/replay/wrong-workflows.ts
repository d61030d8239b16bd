// Deliberately wrong workflows: each sleeps first, which no recorded history did. The replay gate must reject them.

import { sleep } from "@temporalio/workflow";
import { backfill as rightBackfill } from "../../workflows/backfill.ts";
import { mapped as rightMapped } from "../../workflows/mapped.ts";
import { pool as rightPool } from "../../workflows/pool.ts";
import { run as rightRun } from "../../workflows/run.ts";
import { trigger as rightTrigger } from "../../workflows/trigger.ts";

export async function run(...args: Parameters<typeof rightRun>): ReturnType<typeof rightRun> {
  await sleep(1_000);
  return rightRun(...args);
}

export async function mapped(...args: Parameters<typeof rightMapped>): ReturnType<typeof rightMapped> {
  await sleep(1_000);
  return rightMapped(...args);
}

export async function pool(...args: Parameters<typeof rightPool>): ReturnType<typeof rightPool> {
  await sleep(1_000);
  return rightPool(...args);
}

export async function backfill(...args: Parameters<typeof rightBackfill>): ReturnType<typeof rightBackfill> {
  await sleep(1_000);
  return rightBackfill(...args);
}

export async function trigger(...args: Parameters<typeof rightTrigger>): ReturnType<typeof rightTrigger> {
  await sleep(1_000);
  return rightTrigger(...args);
}
