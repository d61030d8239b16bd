// The contract of destinations: merge by key.

import { deepStrictEqual, rejects } from "node:assert/strict";
import type { Row } from "../lib/rows.ts";
import type { ContractCase } from "./case.ts";
import {
  batchOf,
  type DestinationKit,
  type Flow,
  flow,
  hasCode,
  ID,
  Killed,
  killedAt,
  NAME,
  rowsOf,
  show,
  target,
} from "./destination-kit.ts";

export const mergeCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { suite, withLoad, move, rowsIn, expectIds } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  const merge = { mode: "merge", keyColumns: ["id"] } as const;

  add("merge updates by key, and the last of several rows wins", async () => {
    const into = flow();
    await move(target(into, merge), [
      { id: 1, name: "a" },
      { id: 2, name: "b" },
      { id: 1, name: "c" },
      { id: 1, name: "d" },
      { id: 3, name: "e" },
      { id: 3, name: "f" },
    ]);
    await move(target(into, { ...merge, origin: "run-2" }), [
      { id: 3, name: "g" },
      { id: 4, name: null },
    ]);
    const read = await rowsIn(into.table);
    deepStrictEqual(read.map((row) => `${Number(row["id"])} ${show(row["name"])}`).toSorted(), ["1 d", "2 b", "3 g", "4 null"]);
  });

  add("merge keeps the last row of one large chunk", async () => {
    const into = flow();
    const rows = Array.from({ length: 9_000 }, (_, index) => ({ id: index % 100, name: `${index} ${"x".repeat((index * 37) % 900)}` }));
    await move(target(into, merge), rows, rows.length);
    const read = await rowsIn(into.table);
    deepStrictEqual(
      read.map((row) => Number(show(row["name"]).split(" ")[0])).toSorted((left, right) => left - right),
      Array.from({ length: 100 }, (_, id) => 8_900 + id),
    );
  });

  add("merge by several columns", async () => {
    const into = flow();
    const columns = [ID, NAME, { name: "v", type: { kind: "int32" }, nullable: true } as const];
    const row = (id: number, name: string, v: number): Row => ({ id, name, v });
    await move(target(into, { ...merge, keyColumns: ["id", "name"] }), [row(1, "a", 1), row(1, "b", 2), row(1, "a", 3)], 9, columns);
    const read = await rowsIn(into.table);
    deepStrictEqual(read.map((entry) => `${Number(entry["id"])} ${show(entry["name"])} ${show(entry["v"])}`).toSorted(), [
      "1 a 3",
      "1 b 2",
    ]);
  });

  add("merge refuses NULL in a key", async () => {
    const into = flow();
    const columns = [{ ...ID, nullable: true }, NAME];
    await rejects(move(target(into, merge), [{ id: 1, name: "a" }, { name: "b" }], 2, columns), hasCode("DESTINATION_DATA_REFUSED", "id"));
    await expectIds(into.table);
  });

  add("merge without a key, or with one that the stream lacks, is refused", async () => {
    await rejects(move(target(flow(), { mode: "merge" }), rowsOf(1)), hasCode("DESTINATION_TABLE_INVALID", "key"));
    await rejects(move(target(flow(), { ...merge, keyColumns: ["number"] }), rowsOf(1)), hasCode("DESTINATION_TABLE_INVALID", "number"));
  });

  add("merge resumes after a death within a commit", async () => {
    const into = flow();
    const rows = [...rowsOf(1, 2, 3), { id: 1, name: "last" }];
    await rejects(move(target(into, { ...merge, failpoint: killedAt("within-commit") }), rows), Killed);
    await move(target(into, merge), rows);
    await expectIds(into.table, 1, 2, 3);
  });
  /** Ids below zero tell that the row of the opposite id is gone. */
  const change = (into: Flow, origin: string, ...ids: readonly number[]): Promise<void> =>
    withLoad(target(into, { ...merge, origin }), async (load) => {
      await load.begin(null);
      const batch = batchOf(ids.map((id) => ({ id: Math.abs(id), name: id < 0 ? null : `${origin} ${id}` })));
      await load.write({ ...batch, deleted: Uint8Array.from(ids, (id) => (id < 0 ? 1 : 0)) });
      await load.commit(null);
      await load.finish();
    });

  add("merge applies deletions in the order of the rows", async () => {
    const into = flow();
    await move(target(into, merge), rowsOf(1, 2, 3, 4));
    // Gone; gone and there again; changed and gone; new and gone; never there; new.
    await change(into, "run-2", -1, -2, 2, 3, -3, 5, -5, -9, 6);
    const read = await rowsIn(into.table);
    deepStrictEqual(
      read.map((row) => show(row["name"])),
      ["run-2 2", "row 4", "run-2 6"],
    );
    // A load that knows of no deletions goes on in the same table.
    await move(target(into, { ...merge, origin: "run-3" }), rowsOf(1, 2));
    await expectIds(into.table, 1, 2, 4, 6);
  });

  add("merge takes deletions and rows that do not tell of them in one chunk", async () => {
    const into = flow();
    await withLoad(target(into, merge), async (load) => {
      await load.begin(null);
      await load.write(batchOf(rowsOf(1, 2)));
      await load.write({ ...batchOf(rowsOf(2, 3)), deleted: Uint8Array.of(1, 0) });
      await load.write(batchOf(rowsOf(4)));
      await load.commit(null);
      await load.finish();
    });
    await expectIds(into.table, 1, 3, 4);
  });

  add("deletions need a merge", async () => {
    const batch = { ...batchOf(rowsOf(1)), deleted: Uint8Array.of(0) };
    for (const mode of suite.modes.filter((one) => one !== "merge")) {
      await withLoad(target(flow(), { mode }), async (load) => {
        await load.begin(null);
        await rejects(load.write(batch), hasCode("DESTINATION_TABLE_INVALID", "to.mode: merge"));
      });
    }
  });
  return cases;
};
