import { expect, test } from "vitest";
import { outlastingStore } from "../../activities/outlasting-store.ts";
import { DownbeatError } from "../../core/errors.ts";

const away = new DownbeatError("STORE_UNAVAILABLE", "away");

test("work that the store keeps waiting is done again until it is there", async () => {
  let tries = 0;
  const work = async (): Promise<string> => {
    tries += 1;
    if (tries === 1) throw away;
    return "kept";
  };
  expect(await outlastingStore(new AbortController().signal, work)).toBe("kept");
  expect(tries).toBe(2);
});

test("any other failure passes at once", async () => {
  const other = new DownbeatError("OUTPUT_TOO_LARGE", "large");
  await expect(outlastingStore(new AbortController().signal, () => Promise.reject(other))).rejects.toBe(other);
});

test("a cancellation ends the waiting with its reason", async () => {
  const cancelled = new AbortController();
  const reason = new Error("cancelled by hand");
  const waiting = outlastingStore(cancelled.signal, () => Promise.reject(away));
  setTimeout(() => cancelled.abort(reason), 10);
  await expect(waiting).rejects.toBe(reason);
});
