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

/** A merge of batches with other columns in one chunk, and a deletion after rows: leaves 2 ("second", more {"a":[1]}) and 3 ("three"). */
export const mergeMixed = async (load: Load): Promise<void> => {
  const [id, name, more] = [column("id", { kind: "int64" }), column("name", { kind: "string" }), column("more", { kind: "json" })];
  const firstRows = [
    { id: 1, name: "one" },
    { id: 2, name: "two" },
  ];
  await load.begin(null);
  await load.write(fromRows([id, name], firstRows, { position: 1 }));
  await load.write(fromRows([id, more, name], [{ id: 2, name: "second", more: '{"a":[1]}' }], { position: 2 }));
  await load.write(fromRows([name, id], [{ id: 3, name: "three" }], { position: 3 }));
  await load.write({ ...fromRows([id], [{ id: 1 }], { position: 4 }), deleted: Uint8Array.of(1) });
  await load.commit(null);
  await load.finish();
};
