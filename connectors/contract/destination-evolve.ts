// The contract of destinations with tables: how they change with the stream.

import { deepStrictEqual, rejects } from "node:assert/strict";
import type { Json } from "../../core/json.ts";
import type { Column } from "../batch.ts";
import type { LoadTarget, SchemaChange } from "../connector.ts";
import type { Row } from "../lib/rows.ts";
import type { ContractCase } from "./case.ts";
import { batchOf, type DestinationKit, flow, type Flow, hasCode, ID, NAME, show, target } from "./destination-kit.ts";

export const evolveCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { withLoad, move, rowsIn, expectIds } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  const EMAIL: Column = { name: "email", type: { kind: "string" }, nullable: true };
  const two = async (into: Flow, schema: LoadTarget["schema"], columns: readonly Column[], row: Row): Promise<void> => {
    await move(target(into), [{ id: 1, name: "one" }]);
    await move(target(into, { origin: "run-2", schema }), [row], 2, columns);
  };

  add("evolve adds columns, and a column that is missing becomes NULL", async () => {
    const into = flow();
    await two(into, "evolve", [ID, EMAIL], { id: 2, email: "two@example.com" });
    deepStrictEqual(
      (await rowsIn(into.table)).map((row) => ({ ...row, id: Number(row["id"]) })),
      [
        { id: 1, name: "one", email: null },
        { id: 2, name: null, email: "two@example.com" },
      ],
    );
  });

  add("freeze refuses a column that the table does not have", async () => {
    const into = flow();
    await rejects(two(into, "freeze", [ID, NAME, EMAIL], { id: 2 }), hasCode("DESTINATION_SCHEMA_MISMATCH", "email", "frozen"));
    await expectIds(into.table, 1);
  });

  add("discard leaves out a column that the table does not have", async () => {
    const into = flow();
    await two(into, "discard", [ID, EMAIL, NAME], { id: 2, email: "gone", name: "two" });
    const read = await rowsIn(into.table);
    deepStrictEqual(read.map((row) => `${Number(row["id"])} ${show(row["name"])} ${Object.keys(row).length}`).toSorted(), [
      "1 one 2",
      "2 two 2",
    ]);
  });

  add("a column's own policy goes before the table's", async () => {
    const into = flow();
    await move(target(into), [{ id: 1, name: "one" }]);
    const columns = [ID, NAME, EMAIL, { ...EMAIL, name: "Phone" }];
    const row = { id: 2, name: "two", email: "e", Phone: "p" };
    const given = { origin: "run-2", schema: "discard", columnSchema: { email: "evolve" } } as const;
    await move(target(into, given), [row], 2, columns);
    const read = await rowsIn(into.table);
    deepStrictEqual(
      read.map((found) => ({ ...found, id: Number(found["id"]) })),
      [
        { id: 1, name: "one", email: null },
        { id: 2, name: "two", email: "e" },
      ],
    );
    const frozen = { origin: "run-3", schema: "evolve", columnSchema: { Phone: "freeze" } } as const;
    await rejects(move(target(into, frozen), [{ ...row, id: 3 }], 2, columns), hasCode("DESTINATION_SCHEMA_MISMATCH", "Phone", "frozen"));
    await expectIds(into.table, 1, 2);
  });

  add("columns that come in the middle of a chunk are added", async () => {
    const into = flow();
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write(batchOf([{ id: 1, name: "one" }], 1));
      await load.write(batchOf([{ id: 2, name: "two", email: "e" }], 2, [ID, NAME, EMAIL]));
      await load.write(batchOf([{ id: 3, email: "f" }], 3, [EMAIL, ID]));
      await load.commit(3);
      await load.finish();
    });
    const read = await rowsIn(into.table);
    deepStrictEqual(
      read.map((row) => `${Number(row["id"])} ${show(row["name"])} ${show(row["email"])}`),
      ["1 one null", "2 two e", "3 null f"],
    );
  });

  add("what becomes of a stream's other columns is told once, also by a later attempt", async () => {
    const into = flow();
    const tells = async (
      origin: string,
      given: Partial<LoadTarget>,
      columns: readonly Column[],
      row: Row,
      expected: readonly SchemaChange[],
    ): Promise<void> => {
      for (const _attempt of [1, 2]) {
        await withLoad(target(into, { origin, ...given }), async (load) => {
          if (!load.resume.done) {
            await load.begin(null);
            await load.write(batchOf([row], null, columns));
            await load.write(batchOf([row], null, columns));
            await load.commit(null);
            await load.finish();
          }
          if (load.schemaChanges !== undefined) deepStrictEqual(await load.schemaChanges(), expected);
        });
      }
    };
    const N = (kind: "int32" | "int64"): Column => ({ name: "n", type: { kind }, nullable: true });
    await tells("run-1", {}, [ID, N("int32")], { id: 1, n: 1 }, []);
    await tells("run-2", {}, [ID, N("int64"), EMAIL], { id: 2, n: 2, email: "e" }, [
      { column: "email", change: "added", before: null, after: "string" },
      { column: "n", change: "widened", before: "int32", after: "int64" },
    ]);
    await tells("run-3", {}, [ID, N("int64"), EMAIL], { id: 3, n: 3, email: "f" }, []);
    await tells("run-4", { schema: "discard" }, [ID, NAME], { id: 4, name: "four" }, [
      { column: "name", change: "left_out", before: "string", after: null },
    ]);
    if (!kit.suite.modes.includes("replace")) return;
    await tells("run-5", { mode: "replace" }, [ID, NAME], { id: 5, name: "five" }, [
      { column: "name", change: "added", before: null, after: "string" },
    ]);
    await tells("run-6", { mode: "replace", schema: "discard" }, [ID, { ...NAME, name: "more" }], { id: 6, more: "six" }, [
      { column: "more", change: "left_out", before: "string", after: null },
    ]);
  });

  const widening: readonly (readonly [Column["type"], unknown, Column["type"], unknown, readonly [Json, Json]])[] = [
    [{ kind: "int32" }, 7, { kind: "int64" }, "9007199254740993", [7, "9007199254740993"]],
    [{ kind: "int64" }, 7, { kind: "decimal", precision: 12, scale: 2 }, "1.25", ["7.00", "1.25"]],
    [{ kind: "int64" }, 7, { kind: "float64" }, 0.5, [7, 0.5]],
    [{ kind: "float32" }, 0.5, { kind: "float64" }, 0.1, [0.5, 0.1]],
    [{ kind: "int32" }, 7, { kind: "string" }, "seven", ["7", "seven"]],
    [{ kind: "decimal", precision: 5, scale: 2 }, "1.25", { kind: "decimal", precision: 12, scale: 4 }, "1.0001", ["1.2500", "1.0001"]],
  ];
  for (const [before, first, after, second, read] of widening) {
    add(`evolve widens ${before.kind} to ${after.kind} and takes the narrow type afterwards`, async () => {
      const into = flow();
      const column = (type: Column["type"]): Column => ({ name: "v", type, nullable: true });
      await move(target(into), [{ id: 1, v: first }], 2, [ID, column(before)]);
      await rejects(
        move(target(into, { origin: "run-2", schema: "freeze" }), [{ id: 2, v: second }], 2, [ID, column(after)]),
        hasCode("DESTINATION_SCHEMA_MISMATCH", '"v"'),
      );
      await move(target(into, { origin: "run-2" }), [{ id: 2, v: second }], 2, [ID, column(after)]);
      await move(target(into, { origin: "run-3" }), [{ id: 3, v: first }], 2, [ID, column(before)]);
      const rows = await rowsIn(into.table);
      deepStrictEqual(
        rows.map((row) => row["v"]),
        [...read, read[0]],
      );
    });
  }

  const V = (kind: "int64" | "float64"): Column => ({ name: "v", type: { kind }, nullable: true });
  const LARGE = "9007199254740993";

  add("a whole number that a floating-point column would round is refused, and so is making one of it", async () => {
    const [whole, fractions] = [flow(), flow()];
    await move(target(whole), [{ id: 1, v: LARGE }], 2, [ID, V("int64")]);
    await rejects(
      move(target(whole, { origin: "run-2" }), [{ id: 2, v: 0.5 }], 2, [ID, V("float64")]),
      hasCode("DESTINATION_SCHEMA_MISMATCH", '"v"'),
    );
    await move(target(fractions), [{ id: 1, v: 0.5 }], 2, [ID, V("float64")]);
    const rows = [
      { id: 2, v: 2 },
      { id: 3, v: LARGE },
    ];
    await rejects(
      move(target(fractions, { origin: "run-2" }), rows, 2, [ID, V("int64")]),
      hasCode("DESTINATION_SCHEMA_MISMATCH", '"v"', "9007199254740992"),
    );
    await expectIds(whole.table, 1);
    await expectIds(fractions.table, 1);
  });

  for (const mode of kit.suite.modes) {
    add(`${mode} puts whole numbers into a column of fractions, up to the largest that it holds`, async () => {
      const into = flow();
      const key = mode === "merge" ? { keyColumns: ["id"] } : {};
      await move(target(into, { mode, ...key }), [{ id: 1, v: 0.5 }], 2, [ID, V("float64")]);
      const rows = [
        { id: 2, v: "9007199254740992" },
        { id: 3, v: "-9007199254740992" },
        { id: 4, v: null },
        { id: 5, v: 5 },
      ];
      await move(target(into, { mode, ...key, origin: "run-2", schema: "freeze" }), rows, 2, [ID, V("int64")]);
      const read = await rowsIn(into.table);
      deepStrictEqual(
        read.filter(({ id }) => Number(id) > 1).map(({ v }) => (v === null ? null : Number(v))),
        [9_007_199_254_740_992, -9_007_199_254_740_992, null, 5],
      );
    });
  }

  add("a type that does not fit is refused with both types", async () => {
    const into = flow();
    await move(target(into), [{ id: 1, at: "2026-01-01" }], 2, [ID, { name: "at", type: { kind: "date" }, nullable: true }]);
    await rejects(
      move(target(into, { origin: "run-2" }), [{ id: 2, at: true }], 2, [ID, { name: "at", type: { kind: "bool" }, nullable: true }]),
      hasCode("DESTINATION_SCHEMA_MISMATCH", '"at"', "bool"),
    );
  });
  return cases;
};
