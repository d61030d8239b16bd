// Deliberately wrong workflows: each sleeps first, which no recorded history did. The replay gate must reject them.

import { sleep } from "@temporalio/workflow";
import * as right from "../../workflows/index.ts";

const late =
  <Args extends unknown[], Answer>(workflow: (...args: Args) => Promise<Answer>) =>
  async (...args: Args): Promise<Answer> => {
    await sleep(1_000);
    return workflow(...args);
  };

export const backfill = late(right.backfill);
export const inspect = late(right.inspect);
export const lateReport = late(right.lateReport);
export const mapped = late(right.mapped);
export const pool = late(right.pool);
export const run = late(right.run);
export const trigger = late(right.trigger);
export const window = late(right.window);
