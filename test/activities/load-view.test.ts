// What is shown of a load while it goes on: the newest figures, not too often, and the last ones when it ends.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLoadView } from "../../activities/load-view.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the view of a load", () => {
  it("is brought up to date each few seconds at most, with what is newest then", async () => {
    const shown: number[] = [];
    const view = createLoadView(async (figures: number) => void shown.push(figures));
    for (let figures = 1; figures <= 100; figures += 1) {
      view.note(figures);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(shown).toEqual([50, 100]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(shown).toEqual([50, 100]);
  });

  it("asks a store that is slow no more often for that, and then shows what has come since", async () => {
    const shown: number[] = [];
    let answer: () => void = () => undefined;
    const view = createLoadView((figures: number) => {
      shown.push(figures);
      return new Promise<void>((resolve) => (answer = resolve));
    });
    view.note(1);
    await vi.advanceTimersByTimeAsync(5_000);
    view.note(2);
    view.note(3);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(shown).toEqual([1]);
    answer();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(shown).toEqual([1, 3]);
  });

  it("shows at the end what is not shown yet, and once", async () => {
    const shown: number[] = [];
    const view = createLoadView(async (figures: number) => void shown.push(figures));
    view.note(1);
    await view.end();
    await view.end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(shown).toEqual([1]);
  });

  it("shows nothing more of a load that is another's by now", async () => {
    const shown: number[] = [];
    const view = createLoadView(async (figures: number) => void shown.push(figures));
    view.note(1);
    view.drop();
    await view.end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(shown).toEqual([]);
  });

  it("shows nothing of what was noted before its process stood still: another one may have gone on", async () => {
    const shown: number[] = [];
    const view = createLoadView(async (figures: number) => void shown.push(figures));
    view.note(1);
    vi.setSystemTime(Date.now() + 60_000);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(shown).toEqual([]);
    view.note(2);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(shown).toEqual([2]);
  });
});
