// Judges what is in a destination against what must be, pure: each fault as a sentence.

import type { WriteMode } from "../../connectors/connector.ts";
import type { Sight } from "./destinations.ts";
import { COLUMN_NAMES, type Expected, valuesOf } from "./rows.ts";

const countsOf = (lines: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
};

interface Difference {
  readonly missing: readonly string[];
  readonly more: readonly string[];
}

const differenceOf = (wanted: readonly string[], found: readonly string[]): Difference => {
  const counts = countsOf(found);
  const missing = wanted.filter((line) => {
    const count = counts.get(line) ?? 0;
    if (count > 0) counts.set(line, count - 1);
    return count === 0;
  });
  return { missing, more: [...counts].flatMap(([line, count]) => Array<string>(count).fill(line)) };
};

const SHOWN = 5;
const idsOf = (lines: readonly string[]): string =>
  `${lines
    .slice(0, SHOWN)
    .map((line) => valuesOf(line)[0])
    .join(", ")}${lines.length > SHOWN ? ", …" : ""}`;

/** The columns in which rows of the same id and version differ. */
const changedColumns = ({ missing, more }: Difference): readonly string[] => {
  const rowKey = (line: string): string => valuesOf(line).slice(0, 2).join("/");
  const found = new Map(more.map((line) => [rowKey(line), valuesOf(line)]));
  const changed = new Set<string>();
  for (const line of missing) {
    const other = found.get(rowKey(line));
    if (other === undefined) continue;
    for (const [place, value] of valuesOf(line).entries()) if (other[place] !== value) changed.add(COLUMN_NAMES[place] ?? "");
  }
  return [...changed];
};

/** Row by row, duplicates counted: nothing less would tell of a row that is there twice while another is missing. */
const rowFaults = (wanted: readonly string[], found: readonly string[]): readonly string[] => {
  const difference = differenceOf(wanted, found);
  const { missing, more } = difference;
  if (missing.length === 0 && more.length === 0) return [];
  const distinct = new Set(found);
  const twice = more.filter((line) => distinct.has(line) && wanted.includes(line));
  const changed = changedColumns(difference);
  return [
    `${found.length} rows instead of ${wanted.length}: ${missing.length} missing (ids ${idsOf(missing)}), ${more.length} too many (ids ${idsOf(more)}), of them ${twice.length} that are there more than once${changed.length === 0 ? "" : `; other values in ${changed.join(", ")}`}`,
  ];
};

/** What holds at every moment: receipts, load and dead letters say the same. */
const bookFaults = ({ loads, receipts, letters }: Sight): readonly string[] =>
  loads.flatMap(({ origin, rows, chunks, deadLetters }) => {
    const own = receipts.filter((receipt) => receipt.origin === origin);
    const received = own.reduce((sum, receipt) => sum + receipt.rows, 0);
    const placed = letters.filter((letter) => letter.origin === origin).map(({ place }) => place);
    const faults: string[] = [];
    if (own.length !== chunks || received !== rows)
      faults.push(`${origin}: ${own.length} receipts of ${received} rows, but the load counts ${chunks} chunks of ${rows}`);
    if (own.some(({ seq }, index) => seq !== index + 1))
      faults.push(`${origin}: receipts are numbered ${own.map(({ seq }) => seq).join(", ")}`);
    if (placed.length !== deadLetters) faults.push(`${origin}: ${placed.length} dead letters, but the load counts ${deadLetters}`);
    if (new Set(placed).size !== placed.length) faults.push(`${origin}: a dead letter is there more than once`);
    return faults;
  });

/** Which rows a destination may show between two attempts. */
export interface Between {
  readonly mode: WriteMode;
  /** What was there before this run. */
  readonly before: readonly string[];
  /** What is there when it has ended; more than one where it depends on when the source has grown. */
  readonly after: readonly (readonly string[])[];
  /** Every row of the source that was ever written. */
  readonly written: ReadonlySet<string>;
}

/** After a kill: whole chunks or nothing; a replace shows the old table or the new one. */
export const faultsBetween = (sight: Sight, { mode, before, after, written }: Between): readonly string[] => {
  const lines = sight.lines ?? [];
  const faults = [...bookFaults(sight)];
  if (mode === "replace") {
    if (![before, ...after].some((state) => rowFaults(state, lines).length === 0))
      faults.push(`neither the old table nor the new one: ${rowFaults(before, lines).join()}`);
    return faults;
  }
  const strange = lines.filter((line) => !written.has(line));
  if (strange.length > 0) faults.push(`${strange.length} rows that the source never had (ids ${idsOf(strange)})`);
  if (mode === "merge") {
    const ids = lines.map((line) => valuesOf(line)[0]);
    if (new Set(ids).size !== ids.length) faults.push(`${ids.length - new Set(ids).size} keys are there more than once`);
    return faults;
  }
  const received = sight.receipts.reduce((sum, { rows }) => sum + rows, 0);
  if (received !== lines.length) faults.push(`${lines.length} rows, but receipts of ${received}`);
  const most = countsOf(after.toSorted((a, b) => b.length - a.length)[0] ?? []);
  const doubled = [...countsOf(lines)].filter(([line, count]) => count > (most.get(line) ?? 0)).map(([line]) => line);
  if (doubled.length > 0) faults.push(`${doubled.length} rows too often (ids ${idsOf(doubled)})`);
  return faults;
};

export interface Ended {
  readonly mode: WriteMode;
  readonly isIncremental: boolean;
  readonly origin: string;
  /** Letters: of this run. One of them must be there. */
  readonly wanted: readonly Expected[];
}

export const faultsAtEnd = (sight: Sight, { mode, isIncremental, origin, wanted }: Ended): readonly string[] => {
  const faults = [...bookFaults(sight)];
  const lines = sight.lines ?? [];
  const right = wanted.find((one) => rowFaults(one.lines, lines).length === 0);
  const nearest = right ?? wanted[0];
  if (right === undefined) faults.push(...rowFaults(nearest?.lines ?? [], lines));
  const letters = sight.letters.filter((letter) => letter.origin === origin).length;
  if (letters !== nearest?.letters) faults.push(`${origin}: ${letters} dead letters instead of ${nearest?.letters}`);
  const load = sight.loads.find((one) => one.origin === origin);
  if (load?.done !== true) faults.push(`${origin}: its load has not ended in the bookkeeping`);
  if (mode !== "merge") {
    const received = sight.receipts.filter((one) => mode === "append" || one.origin === origin).reduce((sum, { rows }) => sum + rows, 0);
    if (received !== lines.length) faults.push(`${lines.length} rows, but receipts of ${received}`);
  }
  if (isIncremental && sight.cursors.join() !== origin)
    faults.push(`the cursor is that of ${sight.cursors.join() || "nobody"}, not of ${origin}`);
  if (sight.staging.length > 0) faults.push(`staging is left: ${sight.staging.join(", ")}`);
  return faults;
};

/** What an attempt that was overtaken has changed after all. */
export const changesBetween = (before: Sight, after: Sight): readonly string[] => {
  const faults = rowFaults(before.lines ?? [], after.lines ?? []).map((fault) => `the overtaken attempt changed rows: ${fault}`);
  const { lines: _before, ...books } = before;
  const { lines: _after, ...later } = after;
  if (JSON.stringify(books) !== JSON.stringify(later)) faults.push("the overtaken attempt changed the bookkeeping");
  return faults;
};
