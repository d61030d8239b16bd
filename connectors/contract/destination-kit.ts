// What the cases of the destination contract share: the suite that a destination fills in, small streams, and loads that go on where they were left.

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Json } from "../../core/json.ts";
import type { Batch, Column } from "../batch.ts";
import type { Connector, Destination, FailpointName, Load, LoadTarget, WriteMode } from "../connector.ts";
import { fromRows, type Row } from "../lib/rows.ts";

export interface DestinationSuite {
  /** Opens the connector anew, on the same system each time; cases close it. */
  readonly make: () => Promise<Connector>;
  /** Every row of a table as JSON (integers beyond 2^53 and decimals as text, times ISO 8601, binary base64), read past the connector's own load code; undefined = no such table. */
  readonly readTable: (table: string) => Promise<readonly Record<string, Json>[] | undefined>;
  readonly modes: readonly WriteMode[];
  /** Columns and rows of every type that the destination can hold, at their extremes, with what `readTable` gives back. */
  readonly types: { readonly columns: readonly Column[]; readonly rows: readonly Row[]; readonly read: readonly Record<string, Json>[] };
  /** Types that it must refuse. */
  readonly refusedTypes: readonly Column["type"][];
  /** Whether tables keep a fixed set of typed columns (warehouses do, files do not). */
  readonly hasSchema: boolean;
  /** Dead letters of a load, as `reason`s. */
  readonly readDeadLetters: (key: string) => Promise<readonly string[]>;
  /** The table of dead letters, as SQL names it, where they can be replayed. */
  readonly deadLetters?: string;
}

export const ID: Column = { name: "id", type: { kind: "int64" }, nullable: false };
export const NAME: Column = { name: "name", type: { kind: "string" }, nullable: true };
export const COLUMNS: readonly Column[] = [ID, NAME];

export const rowsOf = (...ids: readonly number[]): readonly Row[] => ids.map((id) => ({ id, name: `row ${id}` }));
export const batchOf = (rows: readonly Row[], position: Json = null, columns: readonly Column[] = COLUMNS): Batch =>
  fromRows(columns, rows, { position });

let runs = 0;

/** A name that no other case uses. */
export const unique = (prefix: string): string => `${prefix}_${process.pid}_${Date.now().toString(36)}_${(runs += 1)}`;

export interface Flow {
  readonly key: string;
  readonly table: string;
}

export const flow = (): Flow => ({ key: unique("pipeline/task"), table: unique("contract") });

export const target = (into: Flow, given: Partial<LoadTarget> = {}): LoadTarget => ({
  key: into.key,
  origin: "run-1",
  incremental: false,
  table: into.table,
  mode: "append",
  keyColumns: [],
  schema: "evolve",
  options: {},
  failpoint: () => Promise.resolve(),
  ...given,
});

export const show = (value: Json | undefined): string => (typeof value === "string" ? value : JSON.stringify(value ?? null));

export class Killed extends Error {}

/** Throws at a boundary instead of killing the process there. */
export const killedAt =
  (wanted: FailpointName): LoadTarget["failpoint"] =>
  (name) =>
    name === wanted ? Promise.reject(new Killed(name)) : Promise.resolve();

export const hasCode =
  (code: string, ...mentioned: readonly string[]) =>
  (error: unknown): true => {
    ok(error instanceof Error, `expected a DownbeatError ${code}`);
    strictEqual("code" in error ? error.code : undefined, code, `expected ${code}, got: ${error.message}`);
    for (const text of mentioned) ok(error.message.includes(text), `the message should mention ${text}: ${error.message}`);
    return true;
  };

/** What a case does with a destination. */
export interface DestinationKit {
  readonly suite: DestinationSuite;
  /** Opens the connector, and closes it whatever happens. */
  readonly opened: (run: (destination: Destination) => Promise<void>) => Promise<void>;
  readonly withLoad: (given: LoadTarget, run: (load: Load) => Promise<void> | void) => Promise<void>;
  /** Goes on where the destination says, as the engine does: positions are counts of rows, chunks have `chunk` rows. */
  readonly move: (given: LoadTarget, all: readonly Row[], chunk?: number, columns?: readonly Column[]) => Promise<void>;
  /** By their ids. */
  readonly rowsIn: (table: string) => Promise<readonly Record<string, Json>[]>;
  readonly expectIds: (table: string, ...ids: readonly number[]) => Promise<void>;
}

export const destinationKit = (suite: DestinationSuite): DestinationKit => {
  const opened = async (run: (destination: Destination) => Promise<void>): Promise<void> => {
    await using connector = await suite.make();
    ok(connector.destination, "the connector has no destination role");
    await run(connector.destination);
  };

  const withLoad = (given: LoadTarget, run: (load: Load) => Promise<void> | void): Promise<void> =>
    opened(async (destination) => {
      await using load = await destination.openLoad(given);
      await run(load);
    });

  const move = (given: LoadTarget, all: readonly Row[], chunk = 2, columns: readonly Column[] = COLUMNS): Promise<void> =>
    withLoad(given, async (load) => {
      if (load.resume.done) return;
      if (load.resume.bounds === undefined) await load.begin({ upTo: all.length });
      const start = typeof load.resume.position === "number" ? load.resume.position : 0;
      if (start >= all.length) {
        await load.write(batchOf([], start, columns));
        await load.commit(start);
      }
      for (let from = start; from < all.length; from += chunk) {
        const end = Math.min(from + chunk, all.length);
        await load.write(batchOf(all.slice(from, end), end, columns));
        await load.commit(end);
      }
      await load.finish();
    });

  const rowsIn = async (table: string): Promise<readonly Record<string, Json>[]> =>
    ((await suite.readTable(table)) ?? []).toSorted((left, right) => Number(left["id"]) - Number(right["id"]));

  const expectIds = async (table: string, ...ids: readonly number[]): Promise<void> =>
    deepStrictEqual(
      (await rowsIn(table)).map((row) => Number(row["id"])),
      ids,
    );

  return { suite, opened, withLoad, move, rowsIn, expectIds };
};
