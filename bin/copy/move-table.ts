// Copies one table: attempts that go on behind what is committed, until it is done, a retry cannot help, or it was interrupted.

import { setTimeout as pause } from "node:timers/promises";
import { choosingSource } from "../../activities/column-choices.ts";
import { type OpenConnection, roleOf } from "../../activities/connections.ts";
import { type LoadFigures, moveLoad } from "../../activities/move-load.ts";
import type { Log } from "../../connectors/connector.ts";
import type { ColumnChoices } from "../../core/definition-columns.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Display } from "./display.ts";
import type { PlannedTable } from "./plan.ts";

export interface TableResult {
  readonly status: "copied" | "failed" | "interrupted" | "not begun";
  /** In the destination, those of earlier calls of the same command included. */
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
  /** Of `rows`, those that earlier calls have committed. */
  readonly resumedRows: number;
  readonly seconds: number;
  readonly error?: DownbeatError;
}

export const NOT_BEGUN: TableResult = { status: "not begun", rows: 0, bytes: 0, deadLetters: 0, resumedRows: 0, seconds: 0 };

export interface MoveDeps {
  /** Opens "source" and "destination". */
  readonly open: OpenConnection;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly display: Display;
  readonly columns: ColumnChoices | undefined;
  readonly hashKey: string | undefined;
  readonly maxDeadLetters: number;
  readonly retries: number;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

type Committed = Pick<LoadFigures, "rows" | "bytes" | "deadLetters">;

export const moveTable = async (planned: PlannedTable, deps: MoveDeps): Promise<TableResult> => {
  const { signal, display, retries } = deps;
  const started = performance.now();
  let committed: Committed = { rows: 0, bytes: 0, deadLetters: 0 };
  let resumedRows: number | undefined;
  const onCommitted = (figures: Committed): void => {
    const { rows, bytes, deadLetters } = figures;
    committed = { rows, bytes, deadLetters };
    resumedRows ??= rows;
  };
  const result = (status: TableResult["status"], error?: DownbeatError): TableResult => ({
    status,
    ...committed,
    resumedRows: resumedRows ?? 0,
    seconds: Math.round(performance.now() - started) / 1_000,
    ...(error === undefined ? {} : { error }),
  });

  for (let failures = 0; ; ) {
    const before = committed.rows;
    try {
      onCommitted(await attempt(planned, deps, onCommitted));
      return result("copied");
    } catch (error) {
      if (signal.aborted) return result("interrupted");
      const known =
        error instanceof DownbeatError
          ? error
          : new DownbeatError("INTERNAL", `unforeseen: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      failures = committed.rows > before ? 1 : failures + 1;
      if (!known.rule.retry || failures > retries) return result("failed", known);
      const wait = Math.max(known.retryAfterMs ?? 0, Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS));
      display.note(
        `${planned.table}: ${known.code}: ${known.message}; goes on in ${Math.ceil(wait / 1_000)} s (attempt ${failures} of ${retries} failed)`,
      );
      await pause(wait, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return result("interrupted");
    }
  }
};

const attempt = async (planned: PlannedTable, deps: MoveDeps, onCommitted: (figures: Committed) => void): Promise<LoadFigures> => {
  const { open, log, signal, display, columns, hashKey, maxDeadLetters } = deps;
  const context = { signal, log, progress: () => undefined };
  await using from = await open("source", context);
  await using to = await open("destination", context);
  const whole = roleOf(from, "source");
  const source = columns === undefined ? whole : choosingSource(whole, columns, hashKey);
  await using load = await roleOf(to, "destination").openLoad(planned.target);
  onCommitted(load.resume);
  if (load.resume.rows > 0 && !load.resume.done)
    display.note(`${planned.table}: goes on behind ${load.resume.rows.toLocaleString("en-US")} rows that are committed`);
  const follow = display.follow(planned.table, load.resume, planned.estimate);
  let chunks = 0;
  try {
    return await moveLoad({
      source,
      load,
      request: planned.request,
      limits: { maxRows: maxDeadLetters },
      signal,
      progress(figures) {
        if (figures.chunks > chunks) onCommitted(figures);
        ({ chunks } = figures);
        follow.show(figures);
      },
    });
  } finally {
    follow.end();
  }
};
