// Refuses times that a time of day cannot hold: durations.

import type { Batch } from "../../batch.ts";
import type { InsertColumn } from "./session.ts";
import { DownbeatError } from "../../../core/errors.ts";

const MICROS_PER_DAY = 86_400_000_000;

export const refuseLongTimes = (batch: Batch, columns: readonly InsertColumn[], what: string): void => {
  for (const { index, name, type } of columns) {
    const vector = batch.columns[index];
    if (type.kind !== "time" || vector === undefined) continue;
    const words = new Int32Array(vector.data.buffer, vector.data.byteOffset, batch.rows * 2);
    for (let row = 0; row < batch.rows; row += 1) {
      const micros = words[row * 2 + 1]! * 4_294_967_296 + (words[row * 2]! >>> 0);
      if ((vector.valid !== null && vector.valid[row] === 0) || (micros >= 0 && micros < MICROS_PER_DAY)) continue;
      throw new DownbeatError(
        "DESTINATION_DATA_REFUSED",
        `${what}: column "${name}" holds a time outside of a day (${Math.trunc(micros / 1_000_000)} s), which TIME cannot hold; select it as seconds or as text in the source's query`,
        { details: { column: name } },
      );
    }
  }
};
