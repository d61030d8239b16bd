// Runs that stay open: brought to where they wait, looked at, and let go.

import { runWorkflowId } from "../../core/ids.ts";
import { waitUntil } from "../../bin/services/wait.ts";
import type { Stack } from "./stack.ts";

const AT_ONCE = 20;

/** Does the work for all, a few at a time. */
export const forAll = async <Each, Answer>(all: readonly Each[], work: (each: Each) => Promise<Answer>): Promise<readonly Answer[]> => {
  const answers: Answer[] = [];
  for (let next = 0; next < all.length; next += AT_ONCE) answers.push(...(await Promise.all(all.slice(next, next + AT_ONCE).map(work))));
  return answers;
};

/** Starts so many runs; resolves with their ids when the API says of all that they wait. */
export const startWaiting = async ({ api }: Stack, pipeline: string, runs: number): Promise<readonly string[]> => {
  const started = await forAll(
    Array.from({ length: runs }, (_, index) => index),
    async () => (await api.call<{ readonly id: string }>("POST", `/v1/pipelines/${pipeline}/runs`, {})).id,
  );
  await allAre({ api }, started, "waiting");
  return started;
};

/** Until the API says so of each. */
export const allAre = async ({ api }: Pick<Stack, "api">, runs: readonly string[], wanted: string): Promise<void> => {
  await forAll(runs, (id) =>
    waitUntil(
      async () => {
        const { status } = await api.call<{ readonly status: string }>("GET", `/v1/runs/${id}`);
        if (status !== wanted) throw new Error(`run ${id} is ${status}`);
      },
      { timeoutMs: 300_000 },
    ),
  );
};

/** Activities that these runs have scheduled or at work, by Temporal's own account. */
export const pendingActivities = async ({ client }: Stack, pipeline: string, runs: readonly string[]): Promise<number> => {
  const counts = await forAll(runs, async (run) => {
    const { raw } = await client.workflow.getHandle(runWorkflowId(pipeline, run)).describe();
    return raw.pendingActivities?.length ?? 0;
  });
  return counts.reduce((sum, count) => sum + count, 0);
};
