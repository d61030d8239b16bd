// Fetching ahead: one at a time beside the work, in order, and nothing is left behind.

import { describe, expect, it } from "vitest";
import { fetchAhead } from "../../connectors/lib/fetch-ahead.ts";

const start = (items: readonly number[], broken?: number) => {
  const told: string[] = [];
  const fetched = fetchAhead(items, async (item, signal) => {
    told.push(`fetches ${item}`);
    signal.addEventListener("abort", () => told.push(`stops ${item}`), { once: true });
    await Promise.resolve();
    if (item === broken) throw new Error(`there is no ${item}`);
    return {
      async [Symbol.asyncDispose]() {
        told.push(`removes ${item}`);
      },
    };
  });
  return { told, fetched };
};

describe("fetching ahead", () => {
  it("gives all in their order; the next one is fetched beside the work on each", async () => {
    const { told, fetched } = start([1, 2, 3]);
    for await (const [item, file] of fetched) {
      await using _ = file;
      told.push(`works on ${item}`);
    }
    expect(told.filter((line) => !line.startsWith("stops"))).toEqual([
      "fetches 1",
      "fetches 2",
      "works on 1",
      "removes 1",
      "fetches 3",
      "works on 2",
      "removes 2",
      "works on 3",
      "removes 3",
    ]);
  });

  it("stops and removes what nobody asks for any more", async () => {
    const { told, fetched } = start([1, 2, 3]);
    for await (const [, file] of fetched) {
      await file[Symbol.asyncDispose]();
      break;
    }
    expect(told.slice(2)).toEqual(["removes 1", "stops 1", "stops 2", "removes 2"]);
  });

  it("fails with what could not be fetched when its turn comes", async () => {
    const { told, fetched } = start([1, 2, 3], 2);
    const given: number[] = [];
    const all = (async () => {
      for await (const [item] of fetched) given.push(item);
    })();
    await expect(all).rejects.toThrow("there is no 2");
    expect([given, told.includes("fetches 3")]).toEqual([[1], false]);
  });

  it("of nothing gives nothing", async () => {
    for await (const _ of start([]).fetched) throw new Error("there was something");
  });
});
