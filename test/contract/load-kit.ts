// Small loads for tests of destinations.

import type { Column } from "../../connectors/batch.ts";
import type { Load, LoadTarget } from "../../connectors/connector.ts";
import { fromRows, type Row } from "../../connectors/lib/rows.ts";

export const target = (given: Partial<LoadTarget>): LoadTarget => ({
  key: "p/t/s",
  origin: "run",
  incremental: false,
  table: "t",
  mode: "append",
  keyColumns: [],
  schema: "evolve",
  options: {},
  failpoint: () => Promise.resolve(),
  ...given,
});

/** A whole load in one chunk. */
export const write = async (load: Load, columns: readonly Column[], rows: readonly Row[]): Promise<void> => {
  await load.begin(null);
  await load.write(fromRows(columns, rows, { position: null }));
  await load.commit(null);
  await load.finish();
};

export const column = (name: string, type: Column["type"]): Column => ({ name, type, nullable: true });
