// Local files against the contract of sources; and that nothing outside of their root is read.

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { sourceCases } from "../../connectors/contract/source.ts";
import { file } from "../../connectors/file.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { container } from "../fixtures/avro.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";

const folder = testFolder("file");
const root = path.join(folder, "root");
mkdirSync(path.join(root, "deep"), { recursive: true });
writeFileSync(path.join(root, "a.jsonl"), Array.from({ length: 50 }, (_, id) => `${JSON.stringify({ id, text: `ä ${id}` })}\n`).join(""));
writeFileSync(path.join(root, "deep", "b.jsonl.zst"), zstdCompressSync('{"id": 50, "text": "last"}\n'));
writeFileSync(path.join(root, "nothing.jsonl"), "");
const ORDER = { type: "record", name: "Order", fields: [{ name: "id", type: "long" }] };
const orders = Array.from({ length: 500 }, (_, id) => ({ id: BigInt(id) }));
writeFileSync(path.join(root, "orders.avro"), container(ORDER, [orders.slice(0, 300), orders.slice(300)]));
writeFileSync(path.join(root, "none.avro"), container(ORDER, []));
writeFileSync(path.join(folder, "outside.jsonl"), '{"id": 1}\n');
symlinkSync(path.join(folder, "outside.jsonl"), path.join(root, "link.jsonl"));

const options = file.sourceOptions?.parse({}) as Readonly<Record<string, unknown>>;
const make = (signal?: AbortSignal) => openConnector(file, { root }, testContext(folder, signal));

runCases(
  "file source",
  sourceCases({
    open: (signal) => make(signal),
    stream: "{a.jsonl,deep/*.zst}",
    options,
    capabilities: file.capabilities,
    expectedRows: 51,
    discovered: "deep/*.jsonl.zst",
    emptyStream: "nothing.jsonl",
  }),
);

runCases(
  "file source of Avro",
  sourceCases({
    open: (signal) => make(signal),
    stream: "orders.avro",
    options,
    capabilities: file.capabilities,
    expectedRows: 500,
    discovered: "*.avro",
    emptyStream: "none.avro",
  }),
);

const read = async (stream: string) => {
  await using connector = await make();
  const batches = [];
  for await (const batch of connector.source?.read({
    stream,
    options,
    nullCursor: "fail",
    newRun: true,
    position: null,
    bounds: null,
    seen: () => Promise.resolve(new Set()),
  }) ?? [])
    batches.push(batch);
  return batches;
};

describe("local files", () => {
  it("zstd is unpacked", async () => {
    expect((await read("deep/*.zst")).flatMap(toRows)).toEqual([{ id: 50, text: "last" }]);
  });

  it.each([["../outside.jsonl"], [path.join(folder, "outside.jsonl")], ["link.jsonl"]])(
    "%s is refused: it lies outside of the root",
    async (stream) => {
      await expect(read(stream)).rejects.toMatchObject({ code: "SOURCE_OPTIONS_INVALID" });
    },
  );

  it("a root that is no folder fails the check", async () => {
    await using connector = await openConnector(file, { root: path.join(folder, "missing") }, testContext(folder));
    await expect(connector.check()).rejects.toMatchObject({ code: "CONNECTION_INVALID" });
  });
});
