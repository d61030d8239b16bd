// The contract of destinations whose dead letters can be replayed: a row and its letter change places in one step, once.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Reject } from "../batch.ts";
import type { DeadLetter, Destination, Load, LoadTarget } from "../connector.ts";
import type { ContractCase } from "./case.ts";
import {
  batchOf,
  COLUMNS,
  type DestinationKit,
  type Flow,
  flow,
  hasCode,
  Killed,
  killedAt,
  rowsOf,
  show,
  target,
} from "./destination-kit.ts";

export const replayCases = (kit: DestinationKit): readonly ContractCase[] => {
  const { suite, opened, withLoad, move, rowsIn, expectIds } = kit;
  const cases: ContractCase[] = [];
  const add = (name: string, run: () => Promise<void>): void => void cases.push({ name, run });

  const pagesOf = async (destination: Destination, key: string, after = ""): Promise<readonly (readonly DeadLetter[])[]> => {
    ok(destination.readLetters, "the destination gives no dead letters");
    const pages: (readonly DeadLetter[])[] = [];
    for await (const page of destination.readLetters(key, after)) pages.push(page);
    return pages;
  };

  const lettersOf = async (key: string): Promise<readonly DeadLetter[]> => {
    const found: DeadLetter[] = [];
    await opened(async (destination) => void found.push(...(await pagesOf(destination, key)).flat()));
    return found.toSorted((left, right) => Number(left.raw) - Number(right.raw));
  };

  const refused = (raw: string): Reject => ({ where: `line ${raw}`, code: "SOURCE_DATA_INVALID", reason: `not ${raw}`, raw });

  /** Row 0, and a dead letter for each of the others: its text is its id. */
  const leave = (into: Flow, given: Partial<LoadTarget>, ...ids: readonly number[]): Promise<void> =>
    withLoad(target(into, given), async (load) => {
      await load.begin(null);
      await load.write({ ...batchOf(rowsOf(0), 1), rejects: ids.map((id) => refused(String(id))) });
      await load.commit(1);
      await load.finish();
    });

  const replaying = (into: Flow, given: Partial<LoadTarget> = {}): LoadTarget =>
    target({ ...into, key: `${into.key}/again` }, { origin: "run-2", ...given });

  /** Those above zero are rows by now, the others stay. */
  const take = async (load: Load, letters: readonly DeadLetter[], isBegun = load.resume.bounds !== undefined): Promise<void> => {
    if (!isBegun) await load.begin(null);
    const good = letters.filter(({ raw }) => Number(raw) > 0);
    const bad = letters.filter(({ raw }) => Number(raw) <= 0);
    await load.write({
      ...batchOf(rowsOf(...good.map(({ raw }) => Number(raw))), "end"),
      letters: good.map(({ id }) => id),
      rejects: bad.map(({ id, raw }) => ({ ...refused(raw), reason: "still bad\0", letter: id })),
    });
    await load.commit("end");
  };

  add("dead letters come in pages, by their ids, with what their load wrote to", async () => {
    const into = flow();
    const ids = Array.from({ length: 1_200 }, (_, id) => id);
    await leave(into, {}, ...ids);
    await leave(flow(), {}, 1);
    await opened(async (destination) => {
      const pages = await pagesOf(destination, into.key);
      ok(pages.length > 1, "many letters should not come in one page");
      const all = pages.flat();
      deepStrictEqual(
        all.map(({ raw }) => Number(raw)).toSorted((left, right) => left - right),
        ids,
      );
      const { id, ...seventh } = all[7]!;
      deepStrictEqual(seventh, { place: `line ${seventh.raw}`, raw: seventh.raw, load: { table: into.table, mode: "append" } });
      deepStrictEqual((await pagesOf(destination, into.key, id)).flat(), all.slice(8));
      deepStrictEqual(await pagesOf(destination, into.key, all.at(-1)!.id), []);
      await rejects(pagesOf(destination, `${into.key}/unknown`), hasCode("SOURCE_STREAM_NOT_FOUND", `${into.key}/unknown`));
    });
  });

  add("a replayed row takes the place of its letter, and what is still bad keeps it with the newer reason", async () => {
    const into = flow();
    await leave(into, {}, 1, 2, -3);
    const letters = await lettersOf(into.key);
    await withLoad(replaying(into), async (load) => {
      await take(load, letters);
      await load.finish();
    });
    await expectIds(into.table, 0, 1, 2);
    deepStrictEqual(await lettersOf(into.key), [letters[0]]);
    deepStrictEqual(await suite.readDeadLetters(into.key), ["still bad\u{fffd}"]);
    await withLoad(replaying(into), ({ resume }) => {
      deepStrictEqual({ rows: resume.rows, deadLetters: resume.deadLetters }, { rows: 2, deadLetters: 1 });
    });
    deepStrictEqual(await suite.readDeadLetters(`${into.key}/again`), []);
  });

  add("a page without a row leaves the columns alone", async () => {
    const into = flow();
    await leave(into, {}, -1);
    const [letter] = await lettersOf(into.key);
    await withLoad(replaying(into), async (load) => {
      await load.begin(null);
      await load.write({ ...batchOf([], "end", []), letters: [], rejects: [{ ...refused("-1"), reason: "no", letter: letter!.id }] });
      await load.commit("end");
      await load.finish();
    });
    deepStrictEqual(await suite.readDeadLetters(into.key), ["no"]);
    await expectIds(into.table, 0);
  });

  add("a text that must not be seen any more is gone from its letter", async () => {
    const into = flow();
    await leave(into, {}, -1);
    const [letter] = await lettersOf(into.key);
    await withLoad(replaying(into), async (load) => {
      await load.begin(null);
      await load.write({ ...batchOf([], "end"), letters: [], rejects: [{ ...refused(""), reason: "hidden", letter: letter!.id }] });
      await load.commit("end");
    });
    deepStrictEqual(await lettersOf(into.key), [{ ...letter, raw: "" }]);
  });

  for (const place of ["before-commit", "between-rows-and-cursor", "within-commit", "after-commit"] as const) {
    add(`a replay that died at ${place} is repeated without loss or double`, async () => {
      const into = flow();
      await leave(into, {}, 1, 2, -3);
      await rejects(
        withLoad(replaying(into, { failpoint: killedAt(place) }), async (load) => take(load, await lettersOf(into.key))),
        Killed,
      );
      strictEqual((await lettersOf(into.key)).length, place === "after-commit" ? 1 : 3);
      await withLoad(replaying(into), async (load) => {
        if (load.resume.position === null) await take(load, await lettersOf(into.key));
        await load.finish();
      });
      await expectIds(into.table, 0, 1, 2);
      deepStrictEqual(await suite.readDeadLetters(into.key), ["still bad\u{fffd}"]);
    });
  }

  add("of two replays at once one takes a letter, the other one learns it", async () => {
    const into = flow();
    await leave(into, {}, 1, 2, 3, -4);
    const letters = await lettersOf(into.key);
    await opened(async (destination) => {
      await using slow = await destination.openLoad(replaying(into));
      await using quick = await destination.openLoad(target({ ...into, key: `${into.key}/other` }));
      await take(quick, letters.slice(0, 2));
      await rejects(take(slow, letters), hasCode("SOURCE_CHANGED", "another replay"));
    });
    // The next attempt tries those that are left.
    await withLoad(replaying(into), async (load) => {
      await take(load, await lettersOf(into.key));
      await load.finish();
    });
    await expectIds(into.table, 0, 1, 2, 3);
    strictEqual((await lettersOf(into.key)).length, 1);
  });

  add("of two replays whose transactions overlap one is undone", async () => {
    const into = flow();
    await leave(into, {}, 1, 2);
    const letters = await lettersOf(into.key);
    let others: Promise<PromiseSettledResult<void>> | undefined;
    await opened(async (destination) => {
      await using other = await destination.openLoad(target({ ...into, key: `${into.key}/other` }));
      const failpoint: LoadTarget["failpoint"] = (name) => {
        // Letters of the open transaction are taken, which the other one cannot see yet.
        if (name === "within-commit") others = Promise.allSettled([take(other, letters)]).then(([settled]) => settled);
        return Promise.resolve();
      };
      await using first = await destination.openLoad(replaying(into, { failpoint }));
      await take(first, letters);
      const lost = await others;
      ok(lost?.status === "rejected");
      hasCode("SOURCE_CHANGED", "another replay")(lost.reason);
      await first.finish();
    });
    await expectIds(into.table, 0, 1, 2);
    deepStrictEqual(await lettersOf(into.key), []);
  });

  add("of two attempts of one replay the slower is fenced", async () => {
    const into = flow();
    await leave(into, {}, 1);
    const letters = await lettersOf(into.key);
    await opened(async (destination) => {
      await using slow = await destination.openLoad(replaying(into));
      await slow.begin(null);
      await using quick = await destination.openLoad(replaying(into));
      await take(quick, letters);
      await rejects(take(slow, letters, true), hasCode("LOAD_FENCED"));
    });
    await expectIds(into.table, 0, 1);
  });

  if (suite.modes.includes("merge")) {
    const version = { name: "version", type: { kind: "int32" }, nullable: true } as const;
    const columns = [...COLUMNS, version];
    const merge = { mode: "merge", keyColumns: ["id"], newestBy: "version" } as const;

    add("a merge by the newest keeps the row that is newer, on whichever side it is", async () => {
      const into = flow();
      const rows = [1, 2, 3, 4, 5].map((id) => ({ id, name: "there", version: id === 4 || id === 5 ? null : 5 }));
      await move(target(into, { mode: "merge", keyColumns: ["id"] }), rows, 9, columns);
      const came = [
        { id: 1, name: "older", version: 4 },
        { id: 2, name: "same", version: 5 },
        { id: 3, name: "newest", version: 7 },
        { id: 3, name: "newer", version: 6 },
        { id: 3, name: "of no age", version: null },
        { id: 4, name: "of an age", version: 1 },
        { id: 5, name: "of no age", version: null },
        { id: 6, name: "new", version: null },
      ];
      await move(target(into, { ...merge, origin: "run-2" }), came, 9, columns);
      deepStrictEqual(
        (await rowsIn(into.table)).map((row) => `${Number(row["id"])} ${show(row["name"])}`),
        ["1 there", "2 same", "3 newest", "4 of an age", "5 there", "6 new"],
      );
    });

    add("a merge by a column that the stream lacks is refused", async () => {
      await rejects(move(target(flow(), { ...merge, newestBy: "age" }), rowsOf(1)), hasCode("DESTINATION_TABLE_INVALID", "age"));
    });
  }

  add("dead letters of earlier versions get ids", async () => {
    const into = flow();
    await leave(into, {}, 1, 2);
    await using connector = await suite.make();
    const { quote } = connector.sql!;
    const names = ["key", "origin", "place", "code", "reason", "raw", "at"].map((name) => quote(name)).join(", ");
    const now = suite.deadLetters ?? "";
    const before = `${now}_before`;
    await connector.sql!.execute(
      `drop table ${now.replace("dead_letters", "schema_changes")}; create table ${before} as select ${names} from ${now}; drop table ${now}; create table ${now} as select * from ${before}; drop table ${before}`,
    );
    await withLoad(replaying(into), async (load) => {
      const letters = await lettersOf(into.key);
      strictEqual(new Set(letters.map(({ id }) => id)).size, 2);
      await take(load, letters);
    });
    await expectIds(into.table, 0, 1, 2);
    const later = flow();
    await leave(later, {}, 3, 4);
    await withLoad(replaying(later), async (load) => take(load, await lettersOf(later.key)));
    await expectIds(later.table, 0, 3, 4);
  });
  return cases;
};
