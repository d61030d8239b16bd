// The file of verdicts, one JSON line each: what was asked, then each case; so that a run can be stopped and gone on with.

import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { formatTable } from "../../bin/table.ts";
import type { Result } from "./matrix.ts";

/** `boundaries`: each boundary of each source, destination and mode once. `pairs`: every two values meet. */
export type Sample = "all" | "boundaries" | "pairs";

export interface Asked {
  readonly seed: number;
  readonly only: readonly string[];
  readonly sample: Sample;
}

interface Kept {
  readonly asked: Asked;
  readonly results: readonly Result[];
}

export const beginResults = (file: string, asked: Asked): void => {
  mkdirSync(path.dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify({ asked })}\n`);
};

export const addResult = (file: string, result: Result): void => appendFileSync(file, `${JSON.stringify(result)}\n`);

/** Undefined: it is no such file. A last line that was cut by a kill is left out; of a case that was played again the last verdict counts. */
export const readResults = (file: string): Kept | undefined => {
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  const [head, ...rest] = lines.map((line) => JSON.parse(line) as Result & { readonly asked?: Asked });
  if (head?.asked === undefined) return undefined;
  return { asked: head.asked, results: [...new Map(rest.map((result) => [result.case, result])).values()] };
};

export const tableOf = (results: readonly Result[]): string => {
  const groups = [...Map.groupBy(results, (result) => result.case.split("/").slice(0, 3).join("/"))];
  const rows = groups
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([group, all]) => [
      ...group.split("/"),
      all.length,
      all.reduce((sum, { stops }) => sum + stops, 0),
      all.filter(({ faults }) => faults.length > 0).length,
    ]);
  return formatTable(["source", "destination", "mode", "cases", "kills", "differences"], rows);
};
