// Turns: so many at a time for each key, in the order of their coming; who waits too long is told so.

import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createTurns } from "../../api/turns.ts";

describe("turns", () => {
  it("lets so many of a key work at once, the others in their order, and other keys beside them", async () => {
    const inTurn = createTurns({ atOnce: 2, patienceMs: 10_000 });
    const log: string[] = [];
    let [busy, most] = [0, 0];
    const work = (name: string) => async (): Promise<string> => {
      log.push(name);
      most = Math.max(most, (busy += 1));
      await pause(5);
      busy -= 1;
      return name;
    };
    const names = Array.from({ length: 20 }, (_, index) => `a${index}`);
    expect(await Promise.all(names.map((name) => inTurn("a", work(name))))).toEqual(names);
    expect([log, most]).toEqual([names, 2]);
    await Promise.all([...names.map((name) => inTurn("a", work(name))), inTurn("b", work("b"))]);
    expect([log.indexOf("b") < log.lastIndexOf("a5"), most]).toEqual([true, 3]);
  });

  it("refuses who waited too long, with nothing done, and goes on after work that fails", async () => {
    const inTurn = createTurns({ atOnce: 1, patienceMs: 50 });
    let release = (): void => undefined;
    const first = inTurn("a", () => new Promise<void>((resolve) => (release = resolve)));
    let began = false;
    const late = inTurn("a", async () => {
      began = true;
    });
    await expect(late).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 50 });
    release();
    await first;
    await expect(inTurn("a", () => Promise.reject(new Error("it failed")))).rejects.toThrow("it failed");
    expect(await inTurn("a", () => Promise.resolve("next"))).toBe("next");
    expect(began).toBe(false);
  });
});
