// Streams of files: each row once, whatever is added, changed or interrupted in between. The destination is played by a ledger of what was committed.

import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Position } from "../../connectors/batch.ts";
import { file } from "../../connectors/file.ts";
import { toRows } from "../../connectors/lib/rows.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-objects-"));
const root = path.join(folder, "root");
const tempDir = path.join(folder, "temp");
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ledger {
  ids: unknown[];
  items: Set<string>;
  position: Position | null;
  rejects: string[];
}
let ledger: Ledger;
let written = 0;

beforeEach(async () => {
  rmSync(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  await mkdir(tempDir, { recursive: true });
  ledger = { ids: [], items: new Set(), position: null, rejects: [] };
});

/** More rows than one batch of JSON Lines holds. */
const MANY = 20_000;
const ids = (from: number, count: number): readonly number[] => Array.from({ length: count }, (_, index) => from + index);

const put = (name: string, values: readonly unknown[]): void => {
  const target = path.join(root, name);
  const whole = path.join(folder, "whole");
  writeFileSync(whole, values.map((id) => `${JSON.stringify({ id })}\n`).join(""));
  // A time of its own for each content, whatever the file system's clock does.
  written += 1;
  utimesSync(whole, 1_000_000 + written, 1_000_000 + written);
  renameSync(whole, target);
};

interface Run {
  readonly stream?: string;
  readonly newRun?: boolean;
  readonly newOnly?: boolean;
  /** Commits so many batches, and dies. */
  readonly dieAfter?: number;
  readonly between?: (batch: number) => void;
}

const run = async ({
  stream = "*.jsonl",
  newRun = true,
  newOnly = true,
  dieAfter = Number.POSITIVE_INFINITY,
  between,
}: Run = {}): Promise<void> => {
  await using connector = await file.open(file.config.parse({ root }), {
    signal: new AbortController().signal,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    progress: () => undefined,
    tempDir,
    baseDir: folder,
  });
  const reading = connector.source?.read({
    stream,
    options: file.sourceOptions?.parse({ new_only: newOnly }) as Record<string, unknown>,
    nullCursor: "fail",
    newRun,
    position: ledger.position,
    bounds: null,
    seen: (items) => Promise.resolve(new Set(items.filter((item) => ledger.items.has(item)))),
  });
  let batches = 0;
  for await (const batch of reading ?? []) {
    if (batches >= dieAfter) return;
    ledger.ids.push(...toRows(batch).map((row) => row["id"]));
    ledger.rejects.push(...(batch.rejects ?? []).map(({ where }) => where));
    for (const item of batch.items ?? []) ledger.items.add(item);
    ledger.position = batch.position;
    batches += 1;
    between?.(batches);
  }
};

const sorted = (): readonly unknown[] => ledger.ids.toSorted((left, right) => Number(left) - Number(right));

describe("new files only", () => {
  it("each run takes what it has not seen, also files that sort before the others", async () => {
    put("m.jsonl", ids(1, 3));
    await run();
    await run();
    put("a.jsonl", ids(4, 3));
    put("z.jsonl", ids(7, 3));
    await run();
    expect(sorted()).toEqual(ids(1, 9));
  });

  it("a file that was begun is read on by the next run, before what is new", async () => {
    put("m.jsonl", ids(1, MANY + 5));
    await run({ dieAfter: 1 });
    put("a.jsonl", ids(MANY + 6, 3));
    await run({ dieAfter: 1 });
    await run();
    expect(sorted()).toEqual(ids(1, MANY + 8));
  });

  it("a death in the middle of any file doubles and loses nothing", async () => {
    for (const [index, name] of ["a", "b", "c"].entries()) put(`${name}.jsonl`, ids(1 + index * (MANY + 1), MANY + 1));
    for (let attempt = 0; attempt < 8; attempt += 1) await run({ newRun: attempt === 0, dieAfter: 1 });
    expect(sorted()).toEqual(ids(1, 3 * (MANY + 1)));
  });

  it("a file whose content changed counts as new, also when a part of the old was taken", async () => {
    put("a.jsonl", ids(1, MANY + 1));
    await run({ dieAfter: 1 });
    put("a.jsonl", ids(100_000, 2));
    await run();
    expect(sorted()).toEqual([...ids(1, MANY), 100_000, 100_001]);
  });

  it("nothing there is no error: an empty batch keeps the position", async () => {
    put("a.jsonl", [1]);
    await run();
    const { position } = ledger;
    await run();
    expect(ledger).toMatchObject({ ids: [1], position });
  });
});

describe("all files", () => {
  it("a new run reads everything again, an interrupted one goes on", async () => {
    put("a.jsonl", ids(1, MANY + 1));
    put("b.jsonl", ids(MANY + 2, 2));
    await run({ newOnly: false, dieAfter: 1 });
    await run({ newOnly: false, newRun: false });
    expect(ledger.ids).toEqual(ids(1, MANY + 3));
    await run({ newOnly: false });
    expect(ledger.ids).toHaveLength(2 * (MANY + 3));
  });

  it("a file that changed after a part of it was committed cannot be gone on with", async () => {
    put("a.jsonl", ids(1, MANY + 1));
    await run({ newOnly: false, dieAfter: 1 });
    put("a.jsonl", ids(1, 3));
    await expect(run({ newOnly: false, newRun: false })).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });

  it("a file that is written to while it is read is not taken for whole", async () => {
    put("a.jsonl", ids(1, 2 * MANY));
    await expect(run({ newOnly: false, between: () => put("a.jsonl", ids(1, 1)) })).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });

  it("nothing that matches is SOURCE_STREAM_NOT_FOUND with the whole pattern", async () => {
    await expect(run({ newOnly: false, stream: "no*.csv" })).rejects.toMatchObject({
      code: "SOURCE_STREAM_NOT_FOUND",
      message: expect.stringContaining(`"${path.join(root, "no*.csv")}"`) as unknown,
    });
  });
});

describe("types across files", () => {
  it("only widen: a resumed load gives the same values as one in one go", async () => {
    put("a.jsonl", [...ids(1, MANY), "text", ...ids(1, 5)]);
    put("b.jsonl", [7]);
    await run();
    const whole = ledger.ids.slice(MANY);
    expect(whole).toEqual(["text", "1", "2", "3", "4", "5", "7"]);
    ledger = { ids: [], items: new Set(), position: null, rejects: [] };
    for (let attempt = 0; attempt < 4; attempt += 1) await run({ newRun: attempt === 0, dieAfter: 1 });
    expect(ledger.ids.slice(MANY)).toEqual(whole);
  });

  it("hold in the next run", async () => {
    put("a.jsonl", [1.5]);
    await run();
    put("b.jsonl", [2]);
    await run();
    expect(ledger.position).toMatchObject({ key: "b.jsonl", columns: { id: "float64" } });
  });
});

it("lines that are no rows are told once, wherever the load was interrupted", async () => {
  writeFileSync(path.join(root, "a.jsonl"), [...ids(1, MANY).map((id) => `{"id":${id}}`), "broken", '{"id":0}', ""].join("\n"));
  await run({ dieAfter: 1 });
  await run({ newRun: false });
  expect(ledger.rejects).toEqual([`line ${MANY + 1} of a.jsonl`]);
  expect(ledger.ids).toHaveLength(MANY + 1);
});
