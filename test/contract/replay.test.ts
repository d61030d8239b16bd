// Many dead letters of a DuckDB file, replayed page by page: by attempts that die, and by two replays that race for them.

import path from "node:path";
import { describe, expect, it } from "vitest";
import { NO_LIMITS } from "../../activities/dead-letter-limits.ts";
import { type LoadFigures, moveLoad } from "../../activities/move-load.ts";
import { replaySource, untriedAt } from "../../activities/replay-source.ts";
import type { Column, Reject } from "../../connectors/batch.ts";
import type { LoadTarget } from "../../connectors/connector.ts";
import { batchOf, flow, type Flow, killedAt, Killed, rowsOf, target } from "../../connectors/contract/destination-kit.ts";
import { duckdb } from "../../connectors/duckdb/spec.ts";
import { file } from "../../connectors/file.ts";
import { DownbeatError } from "../../core/errors.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

const folder = testFolder("replay");
const warehouse = await openConnector(duckdb, { path: path.join(folder, "replay.duckdb") }, testContext(folder));
const destination = warehouse.destination!;

/** More than two pages. */
const MANY = 1_200;
const COLUMNS: readonly Column[] = [
  { name: "id", type: { kind: "int64" }, nullable: true },
  { name: "name", type: { kind: "string" }, nullable: true },
];

/** Every tenth is still bad, every hundredth has no text. */
const rawOf = (id: number): string => (id % 100 === 0 ? "" : id % 10 === 0 ? "{" : JSON.stringify({ id, name: `row ${id}` }));
const GOOD = Array.from({ length: MANY }, (_, index) => index + 1).filter((id) => id % 10 !== 0);
const BAD = MANY / 10 - MANY / 100;

const leave = async (into: Flow): Promise<void> => {
  const rejects = Array.from({ length: MANY }, (_, index): Reject => {
    const id = index + 1;
    return { where: `line ${id}`, code: "SOURCE_DATA_INVALID", reason: "was bad", raw: rawOf(id) };
  });
  await using load = await destination.openLoad(target(into));
  await load.begin(null);
  await load.write({ ...batchOf(rowsOf(0), 1), rejects });
  await load.commit(1);
  await load.finish();
};

const replay = async (into: Flow, name: string, failpoint: LoadTarget["failpoint"] = () => Promise.resolve()): Promise<LoadFigures> => {
  await using opened = await openConnector(file, { root: folder }, testContext(folder));
  const given = target({ ...into, key: `${into.key}/${name}` }, { failpoint });
  await using load = await destination.openLoad(given);
  return await moveLoad({
    source: replaySource({ key: into.key, source: opened.source!, destination, target: given }),
    load,
    request: { stream: "a.jsonl", options: { columns: COLUMNS }, nullCursor: "fail" },
    limits: NO_LIMITS,
    chunkRows: 1,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
};

const numbersIn = async (sql: string): Promise<readonly number[]> => {
  const found: number[] = [];
  for await (const batch of warehouse.sql!.query(sql)) {
    const [vector] = batch.columns;
    found.push(...[...new BigInt64Array(vector!.data.buffer, vector!.data.byteOffset, batch.rows)].map(Number));
  }
  return found;
};

const expectReplayed = async ({ table, key }: Flow): Promise<void> => {
  expect(await numbersIn(`select id from "${table}" order by id`)).toEqual([0, ...GOOD]);
  const letters = `from _downbeat.dead_letters where "key" = '${key}'`;
  expect(await numbersIn(`select count(*) ${letters} and reason like 'is not valid JSON%'`)).toEqual([BAD]);
  expect(await numbersIn(`select count(*) ${letters} and reason = 'was bad' and raw = ''`)).toEqual([MANY / 100]);
};

describe("a replay of many dead letters", () => {
  it("by attempts that die in each of its chunks takes every row once, and its figures are those of all attempts", async () => {
    const into = flow();
    await leave(into);
    for (const place of ["before-commit", "within-commit", "after-commit", "after-commit", "within-commit"] as const)
      await expect(replay(into, "again", killedAt(place))).rejects.toThrow(Killed);
    const figures = await replay(into, "again");
    expect(figures).toMatchObject({ rows: GOOD.length, deadLetters: BAD });
    expect(untriedAt(figures.position)).toEqual({ other_load: 0, no_text: MANY / 100, cut: 0, altered: 0 });
    await expectReplayed(into);
    // It is done, and told again as it was.
    expect(await replay(into, "again")).toMatchObject({ rows: GOOD.length, deadLetters: BAD, chunks: 0 });
    await expectReplayed(into);
  });

  it("by two at once, each tried again when the other was first, takes every row once", async () => {
    const into = flow();
    await leave(into);
    const persist = async (name: string): Promise<LoadFigures> => {
      for (;;) {
        try {
          return await replay(into, name);
        } catch (error) {
          if (!(error instanceof DownbeatError) || !error.rule.retry) throw error;
        }
      }
    };
    const both = await Promise.all([persist("one"), persist("two")]);
    expect(both.reduce((sum, { rows }) => sum + rows, 0)).toBe(GOOD.length);
    await expectReplayed(into);
  });
});
