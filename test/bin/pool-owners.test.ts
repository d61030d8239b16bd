// When the slots of a workflow that has ended are free.

import { expect, it } from "vitest";
import { hasStopped } from "../../bin/pool-owners.ts";

const NOW = Date.parse("2026-01-01T00:01:00Z");
const closed = (name: string, secondsAgo: number) => hasStopped({ status: { name }, closeTime: new Date(NOW - secondsAgo * 1_000) }, NOW);

it("one that runs has not stopped", () => {
  expect(hasStopped({ status: { name: "RUNNING" } }, NOW)).toBe(false);
});

it.each(["COMPLETED", "FAILED", "CANCELLED"])("one that is %s has seen its attempts end", (name) => {
  expect(closed(name, 0)).toBe(true);
});

it.each(["TERMINATED", "TIMED_OUT"])("attempts of one that was %s may go on for a moment", (name) => {
  expect([closed(name, 0), closed(name, 14), closed(name, 15)]).toEqual([false, false, true]);
});
