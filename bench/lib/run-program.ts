// Floors and peers are programs of their own, which print what they took as their last line.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Measure } from "./pairs.ts";

/** As they print it. */
export interface ProgramMeasure extends Measure {
  readonly rows: number;
  readonly peakMegabytes: number;
}

/** Throws where it fails, or moves another number of rows. */
export const runProgram = async (program: string, args: readonly string[], rows: number): Promise<ProgramMeasure> => {
  const { stdout } = await promisify(execFile)(program, args);
  const measure = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as ProgramMeasure;
  if (measure.rows !== rows) throw new Error(`${program} ${args[0]} moved ${measure.rows} of ${rows} rows`);
  return measure;
};
