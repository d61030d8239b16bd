// A deliberately wrong `run`: it sleeps first, which no recorded history did. The replay gate must reject it.

import { sleep } from "@temporalio/workflow";
import { run as right } from "../../workflows/run.ts";

export async function run(...args: Parameters<typeof right>): ReturnType<typeof right> {
  await sleep(1_000);
  return right(...args);
}
