// The contract of destinations: exactly once in effect, whatever dies where.

import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { LoadTarget } from "../connector.ts";
import type { ContractCase } from "./case.ts";
import { batchOf, type DestinationKit, flow, hasCode, Killed, killedAt, rowsOf, target } from "./destination-kit.ts";

export const onceCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { suite, opened, withLoad, move, expectIds } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  add("check succeeds", async () => {
    await using connector = await suite.make();
    await connector.check();
  });

  add("append writes every row once", async () => {
    const into = flow();
    await move(target(into), rowsOf(1, 2, 3, 4, 5));
    await expectIds(into.table, 1, 2, 3, 4, 5);
  });

  add("a load that has ended is done for a later attempt", async () => {
    const into = flow();
    await move(target(into), rowsOf(1, 2));
    await withLoad(target(into), ({ resume }) => {
      deepStrictEqual({ done: resume.done, rows: resume.rows }, { done: true, rows: 2 });
    });
    await move(target(into), rowsOf(1, 2));
    await expectIds(into.table, 1, 2);
  });

  add("an open chunk leaves nothing behind", async () => {
    const into = flow();
    await withLoad(target(into), async (load) => {
      await load.begin(null);
      await load.write(batchOf(rowsOf(1, 2), 2));
      await load.commit(2);
      await load.write(batchOf(rowsOf(3, 4), 4));
    });
    await expectIds(into.table, 1, 2);
    await withLoad(target(into), ({ resume }) => {
      deepStrictEqual(
        { done: resume.done, newRun: resume.newRun, position: resume.position, rows: resume.rows },
        { done: false, newRun: false, position: 2, rows: 2 },
      );
    });
  });

  add("bounds are given back to a later attempt", async () => {
    const into = flow();
    const bounds = { upper: "2026-11-23T10:00:00.123456", list: [1, null, "ü"] };
    await withLoad(target(into), (load) => load.begin(bounds));
    await withLoad(target(into), ({ resume }) => {
      deepStrictEqual({ bounds: resume.bounds, newRun: resume.newRun }, { bounds, newRun: true });
    });
  });

  for (const place of ["before-commit", "between-rows-and-cursor", "within-commit", "after-commit"] as const) {
    add(`resumes after a death at ${place}`, async () => {
      const into = flow();
      const all = rowsOf(1, 2, 3, 4, 5);
      await rejects(move(target(into, { failpoint: killedAt(place) }), all), Killed);
      await move(target(into), all);
      await expectIds(into.table, 1, 2, 3, 4, 5);
    });
  }

  add("a whole stream without positions is not doubled by a death before its end", async () => {
    const into = flow();
    const attempt = (failpoint: LoadTarget["failpoint"]): Promise<void> =>
      withLoad(target(into, { failpoint }), async (load) => {
        if (load.resume.done) return;
        if (load.resume.bounds === undefined) await load.begin(null);
        await load.write(batchOf(rowsOf(1, 2, 3)));
        await load.commit(null);
        await load.finish();
      });
    await rejects(attempt(killedAt("after-commit")), Killed);
    await attempt(() => Promise.resolve());
    await expectIds(into.table, 1, 2, 3);
  });

  add("of two attempts at once the slower is fenced", async () => {
    const into = flow();
    await opened(async (destination) => {
      await using slow = await destination.openLoad(target(into));
      await slow.begin(null);
      await using quick = await destination.openLoad(target(into));
      await quick.write(batchOf(rowsOf(1), 1));
      await quick.commit(1);
      const lost = (async () => {
        await slow.write(batchOf(rowsOf(1), 1));
        await slow.commit(1);
      })();
      await rejects(lost, hasCode("LOAD_FENCED"));
      await quick.finish();
    });
    await expectIds(into.table, 1);
  });

  add("another run of a full append appends again", async () => {
    const into = flow();
    await move(target(into), rowsOf(1, 2));
    await move(target(into, { origin: "run-2" }), rowsOf(1, 2));
    await expectIds(into.table, 1, 1, 2, 2);
  });

  add("an earlier run that is tried again after a later one doubles nothing", async () => {
    const into = flow();
    await rejects(move(target(into, { failpoint: killedAt("after-commit") }), rowsOf(1, 2, 3)), Killed);
    await move(target(into, { origin: "run-2" }), rowsOf(7, 8));
    await move(target(into), rowsOf(1, 2, 3));
    await move(target(into), rowsOf(1, 2, 3));
    await expectIds(into.table, 1, 2, 3, 7, 8);
  });

  add("another run of an incremental load goes on from the last position", async () => {
    const into = flow();
    const incremental = { incremental: true };
    await move(target(into, incremental), rowsOf(1, 2, 3));
    await withLoad(target(into, { ...incremental, origin: "run-2" }), ({ resume }) => {
      deepStrictEqual(
        { done: resume.done, newRun: resume.newRun, position: resume.position, bounds: resume.bounds, rows: resume.rows },
        { done: false, newRun: true, position: 3, bounds: undefined, rows: 0 },
      );
    });
    await move(target(into, { ...incremental, origin: "run-2" }), rowsOf(1, 2, 3, 4));
    await expectIds(into.table, 1, 2, 3, 4);
  });

  add("what an unfinished incremental run committed stands for the next run", async () => {
    const into = flow();
    await rejects(move(target(into, { incremental: true, failpoint: killedAt("after-commit") }), rowsOf(1, 2, 3, 4)), Killed);
    await move(target(into, { incremental: true, origin: "run-2" }), rowsOf(1, 2, 3, 4));
    await expectIds(into.table, 1, 2, 3, 4);
  });

  add("what there is to go on with is told before a load begins, and nothing is changed by asking", async () => {
    const into = flow();
    const state = async () => {
      await using connector = await suite.make();
      return await connector.destination?.describeTarget(into);
    };
    deepStrictEqual(await state(), { exists: false });
    await rejects(move(target(into, { failpoint: killedAt("after-commit") }), rowsOf(1, 2, 3)), Killed);
    deepStrictEqual((await state())?.lastLoad, { origin: "run-1", rows: 2, done: false, staged: false });
    await move(target(into), rowsOf(1, 2, 3));
    deepStrictEqual(await state(), { exists: true, lastLoad: { origin: "run-1", rows: 3, done: true, staged: false } });
    await move(target(into, { origin: "run-2" }), []);
    deepStrictEqual((await state())?.lastLoad, { origin: "run-2", rows: 0, done: true, staged: false });
    await expectIds(into.table, 1, 2, 3);
  });

  add("an empty stream makes the table and ends", async () => {
    const into = flow();
    await move(target(into), []);
    deepStrictEqual(await suite.readTable(into.table), []);
    await withLoad(target(into), ({ resume }) => {
      strictEqual(resume.done, true);
    });
  });

  add("loads into two tables at once do not disturb each other", async () => {
    const flows = [flow(), flow(), flow(), flow()];
    await Promise.all(flows.map((into) => move(target(into), rowsOf(1, 2, 3, 4, 5, 6))));
    for (const into of flows) await expectIds(into.table, 1, 2, 3, 4, 5, 6);
  });
  return cases;
};
