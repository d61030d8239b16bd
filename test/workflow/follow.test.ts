// Tasks that go on round by round, on a real server: one attempt of many rounds, failures between them, time, cancellation, long histories.

import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { planOf, policy } from "../core/runs.ts";
import { historyLengthsOf } from "../faults/histories.ts";
import type { Behaviour } from "./engine.ts";
import { isAt, statusesOf, until, useEngine } from "./kit.ts";

const engine = useEngine();

/** So many rounds, each with what it is told to do before it ends. */
const inRounds = (rounds: number, within: (round: number) => Promise<void> = () => Promise.resolve()) => {
  const seen: { readonly attempt: number; readonly since: number | undefined }[] = [];
  const verb: Behaviour = async ({ attempt, followedSince }) => {
    seen.push({ attempt, since: followedSince });
    const round = seen.length;
    await within(round);
    const metrics = { rows: round };
    return round < rounds ? { output: { round }, metrics, goesOn: true } : { output: { round }, metrics };
  };
  return { seen, verb };
};

describe("a task that follows", () => {
  it("is one attempt of many rounds; what needs it begins when it has ended, and reads its last output", async () => {
    const { seen, verb } = inRounds(3);
    let read: unknown;
    const run = await engine().run(planOf({ a: { follow: true }, b: { needs: ["a"], reads: ["a"] } }), {
      verbs: {
        a: verb,
        b: async ({ tasks }) => {
          read = tasks;
          return { output: null };
        },
      },
    });
    expect(run.outcome).toBe("succeeded");
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(new Set(seen.map(({ since }) => since)).size).toBe(1);
    expect(run.attempts("a")).toMatchObject([{ attempt: 1, status: "succeeded" }]);
    expect(run.tasks()["a"]).toMatchObject({ status: "succeeded", attempts: 1, output: { round: 3 }, metrics: { rows: 3 } });
    expect(read).toEqual({ a: { status: "succeeded", output: { round: 3 } } });
  });

  it("has its attempts anew after each round", async () => {
    const { seen, verb } = inRounds(6, async (round) => {
      if (round % 2 === 0) throw new DownbeatError("SOURCE_UNAVAILABLE", `away in round ${round}`);
    });
    const plan = planOf({ a: { follow: true } }, { policies: [policy({ attempts: 2 })] });
    const run = await engine().run(plan, {
      verbs: { a: async (call, context) => (seen.length === 6 ? { output: "end" } : verb(call, context)) },
    });
    expect(run.outcome).toBe("succeeded");
    expect(seen.length).toBe(6);
    expect(run.attempts("a").map(({ status }) => status)).toEqual(["failed", "failed", "failed", "succeeded"]);
  });

  it("fails when its attempts are used up within a round", async () => {
    const { verb } = inRounds(9, (round) => (round === 1 ? Promise.resolve() : Promise.reject(new DownbeatError("SOURCE_AUTH", "no"))));
    const run = await engine().run(planOf({ a: { follow: true } }), { verbs: { a: verb } });
    expect(run).toMatchObject({ outcome: "failed", error: { code: "SOURCE_AUTH" } });
  });

  it("ends when its run is cancelled: its round, and none begins after it", async () => {
    const { seen, verb } = inRounds(1_000_000, () => new Promise((resolve) => setTimeout(resolve, 20)));
    const run = await engine().start(planOf({ a: { follow: true } }), { verbs: { a: verb } });
    await until("some rounds have been", () => seen.length > 3);
    await run.handle.cancel();
    expect(await run.end()).toMatchObject({ outcome: "cancelled" });
    expect(statusesOf(run)).toEqual({ a: "cancelled" });
    expect(run.attempts("a").at(-1)).toMatchObject({ attempt: 1, status: "cancelled" });
    const { length } = seen;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(seen.length).toBe(length);
  });

  it("is shown as running without its rounds' figures, which its worker shows, and its run continues as new when its history is long", async () => {
    const rounds = 800;
    const { seen, verb } = inRounds(rounds);
    const run = await engine().start(planOf({ a: { follow: true } }), { verbs: { a: verb } });
    await isAt(run, "a", "running");
    expect(await run.end()).toMatchObject({ outcome: "succeeded" });
    expect(seen.length).toBe(rounds);
    expect(seen.every(({ attempt }) => attempt === 1)).toBe(true);
    expect(run.attempts("a")).toMatchObject([{ attempt: 1, status: "succeeded" }]);
    const shown = [...run.shown, ...run.reports].flatMap(({ tasks }) => tasks).filter(({ status }) => status === "running");
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.every(({ metrics }) => metrics === undefined)).toBe(true);
    expect((await historyLengthsOf(engine().client, run.id)).length).toBeGreaterThan(1);
  });
});
