// The contract of destinations: types, names, dead letters and items.

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { Column, Reject } from "../batch.ts";
import { type Row, typeName } from "../lib/rows.ts";
import type { ContractCase } from "./case.ts";
import { batchOf, type DestinationKit, flow, hasCode, ID, NAME, rowsOf, target, unique } from "./destination-kit.ts";

export const tableCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { suite, withLoad, rowsIn } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  add("rejected rows go to the dead letters with their chunk", async () => {
    const into = flow();
    const reject = (reason: string): Reject => ({
      where: "line 3",
      code: "SOURCE_DATA_INVALID",
      reason,
      raw: 'raw "text"\u0000 with a NUL',
    });
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write({ ...batchOf(rowsOf(1), 1), rejects: [reject("first"), reject("second")] });
      await load.commit(1);
      await load.write({ ...batchOf(rowsOf(2), 2), rejects: [reject("third")] });
    });
    deepStrictEqual((await suite.readDeadLetters(into.key)).toSorted(), ["first", "second"]);
    await withLoad(target(into), ({ resume }) => {
      strictEqual(resume.deadLetters, 2);
    });
  });

  add("items are seen once their chunk is committed", async () => {
    const into = flow();
    const many = Array.from({ length: 1_200 }, (_, index) => `prices/${index}.csv@"etag'${index}"`);
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write({ ...batchOf(rowsOf(1), 1), items: many });
      deepStrictEqual([...(await load.seen(many.slice(0, 2)))], []);
      await load.commit(1);
      await load.write({ ...batchOf(rowsOf(2), 2), items: ["open"] });
    });
    await withLoad(target(into, { origin: "run-2", incremental: true }), async (load) => {
      strictEqual((await load.seen(many)).size, many.length);
      deepStrictEqual([...(await load.seen(["open", "other", many[7]!]))], [many[7]]);
      deepStrictEqual([...(await load.seen([]))], []);
    });
  });

  add("a stream that has neither rows nor columns yet makes no table, and goes on once it has", async () => {
    const into = flow();
    await withLoad(target(into, { incremental: true }), async (load) => {
      await load.begin(null);
      await load.write(batchOf([], 1, []));
      await load.commit(1);
      await load.finish();
    });
    await withLoad(target(into, { origin: "run-2", incremental: true }), async (load) => {
      strictEqual(load.resume.position, 1);
      await load.begin(null);
      await load.write(batchOf(rowsOf(1, 2), 2));
      await load.commit(2);
      await load.finish();
    });
    strictEqual((await rowsIn(into.table)).length, 2);
  });

  add("every type keeps its extremes, and NULL stays NULL", async () => {
    const into = flow();
    const { columns, rows, read } = suite.types;
    const batch = batchOf(rows, 1, columns);
    deepStrictEqual(batch.rejects, undefined);
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write(batch);
      await load.commit(1);
      await load.finish();
    });
    deepStrictEqual(await suite.readTable(into.table), read);
  });

  add("a batch of many rows with NULLs and long texts keeps its order within columns", async () => {
    const into = flow();
    const rows = Array.from({ length: 5_000 }, (_, id) => ({ id, name: id % 3 === 0 ? null : "ä".repeat(id % 701) }));
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write(batchOf(rows, 1));
      await load.commit(1);
      await load.finish();
    });
    const read = await rowsIn(into.table);
    deepStrictEqual(
      read.toSorted((left, right) => Number(left["id"]) - Number(right["id"])).map((row) => ({ id: Number(row["id"]), name: row["name"] })),
      rows,
    );
  });

  for (const type of suite.refusedTypes) {
    add(`${typeName(type)} is refused with the column's name`, async () => {
      const into = flow();
      await withLoad(target(into), async (load) => {
        await load.begin(null);
        await rejects(
          load.write(batchOf([], 1, [ID, { name: "wide one", type, nullable: true }])),
          hasCode("DESTINATION_TYPE_UNSUPPORTED", "wide one"),
        );
      });
    });
  }

  add("names with capitals, quotes, spaces, Unicode and reserved words are kept", async () => {
    const names = ["customerId", 'say "hi"', "it's", "größe Ω 表", "select", "order", "a.b", "x;drop table y", "$1", ":p", "%s", "\\"];
    const columns = [ID, ...names.map((name): Column => ({ ...NAME, name }))];
    const into = { ...flow(), table: `"${unique('Odd "".table')}"` };
    const row: Row = Object.fromEntries([["id", 1], ...names.map((name) => [name, `value of ${name}`])]);
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write(batchOf([row], 1, columns));
      await load.commit(1);
      await load.finish();
    });
    const [read] = await rowsIn(into.table);
    deepStrictEqual({ ...read, id: 1 }, row);
  });

  add("a name that is no table name is refused", async () => {
    for (const table of ["", "a.b.c.d", 'a"b"c', "."]) {
      await rejects(
        withLoad(target({ key: unique("key"), table }), () => Promise.resolve()),
        hasCode("DESTINATION_TABLE_INVALID"),
      );
    }
  });
  return cases;
};
