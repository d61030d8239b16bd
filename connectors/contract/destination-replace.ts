// The contract of destinations: replace the whole table in one step.

import { deepStrictEqual, rejects } from "node:assert/strict";
import type { FailpointName, LoadTarget } from "../connector.ts";
import type { ContractCase } from "./case.ts";
import { batchOf, type DestinationKit, flow, hasCode, Killed, killedAt, rowsOf, target } from "./destination-kit.ts";

export const replaceCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { suite, opened, withLoad, move, expectIds } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  const replace = { mode: "replace" } as const;

  add("replace swaps the whole table and shows nothing before", async () => {
    const into = flow();
    await move(target(into, replace), rowsOf(1, 2, 3));
    await withLoad(target(into, { ...replace, origin: "run-2" }), async (load) => {
      await load.begin(null);
      await load.write(batchOf(rowsOf(8), 1));
      await load.commit(1);
      await expectIds(into.table, 1, 2, 3);
      await load.write(batchOf(rowsOf(9), 2));
      await load.commit(2);
      await expectIds(into.table, 1, 2, 3);
      await load.finish();
    });
    await expectIds(into.table, 8, 9);
  });

  for (const place of ["between-rows-and-cursor", "after-commit", "between-staging-and-swap"] as const) {
    add(`replace resumes its staging after a death at ${place}`, async () => {
      const into = flow();
      await move(target(into, replace), rowsOf(1, 2));
      const all = rowsOf(5, 6, 7, 8, 9);
      await rejects(move(target(into, { ...replace, origin: "run-2", failpoint: killedAt(place) }), all), Killed);
      await expectIds(into.table, 1, 2);
      await move(target(into, { ...replace, origin: "run-2" }), all);
      await expectIds(into.table, 5, 6, 7, 8, 9);
    });
  }

  add("replace without positions resumes between staging and swap", async () => {
    const into = flow();
    const attempt = (failpoint: LoadTarget["failpoint"]): Promise<void> =>
      withLoad(target(into, { ...replace, failpoint }), async (load) => {
        if (load.resume.done) return;
        if (load.resume.bounds === undefined) await load.begin(null);
        await load.write(batchOf(rowsOf(1, 2)));
        await load.commit(null);
        await load.finish();
      });
    await rejects(attempt(killedAt("between-staging-and-swap")), Killed);
    await attempt(() => Promise.resolve());
    await expectIds(into.table, 1, 2);
  });

  add("an attempt of a replace that another one overtakes before the swap is fenced", async () => {
    const into = flow();
    const all = rowsOf(5, 6, 7);
    const later = { ...replace, origin: "run-2" };
    await move(target(into, replace), rowsOf(1, 2));
    const overtaken = async (name: FailpointName): Promise<void> => {
      if (name === "between-staging-and-swap") await move(target(into, later), all);
    };
    await rejects(move(target(into, { ...later, failpoint: overtaken }), all), hasCode("LOAD_FENCED"));
    await expectIds(into.table, 5, 6, 7);
  });

  add("an attempt of a replace that another one overtakes while it writes is fenced", async () => {
    const into = flow();
    await opened(async (destination) => {
      await using slow = await destination.openLoad(target(into, replace));
      await slow.begin(null);
      await slow.write(batchOf(rowsOf(1), 1));
      await slow.commit(1);
      await move(target(into, replace), rowsOf(1, 2, 3));
      const lost = (async () => {
        await slow.write(batchOf(rowsOf(2), 2));
        await slow.commit(2);
      })();
      await rejects(lost, hasCode("LOAD_FENCED"));
    });
    await expectIds(into.table, 1, 2, 3);
  });

  add("a replace that was overtaken begins anew", async () => {
    const into = flow();
    await rejects(move(target(into, { ...replace, failpoint: killedAt("after-commit") }), rowsOf(1, 2, 3)), Killed);
    await move(target(into, { ...replace, origin: "run-2" }), rowsOf(7, 8));
    await expectIds(into.table, 7, 8);
    await move(target(into, replace), rowsOf(1, 2, 3));
    await expectIds(into.table, 1, 2, 3);
  });

  add("rows that wait beside the table are told of, and are no table yet", async () => {
    const into = flow();
    await rejects(move(target(into, { ...replace, failpoint: killedAt("after-commit") }), rowsOf(1, 2, 3)), Killed);
    await opened(async (destination) => {
      deepStrictEqual(await destination.describeTarget(into), {
        exists: false,
        lastLoad: { origin: "run-1", rows: 2, done: false, staged: true },
      });
    });
  });

  add("replace by an empty stream empties the table", async () => {
    const into = flow();
    await move(target(into, replace), rowsOf(1, 2));
    await move(target(into, { ...replace, origin: "run-2" }), []);
    deepStrictEqual(await suite.readTable(into.table), []);
  });
  return cases;
};
