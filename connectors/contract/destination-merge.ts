// The contract of destinations: merge by key.

import { deepStrictEqual, rejects } from "node:assert/strict";
import type { Row } from "../lib/rows.ts";
import type { ContractCase } from "./case.ts";
import { type DestinationKit, flow, hasCode, ID, Killed, killedAt, NAME, rowsOf, show, target } from "./destination-kit.ts";

export const mergeCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { move, rowsIn, expectIds } = kit;
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
  return cases;
};
