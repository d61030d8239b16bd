// A task that runs a pipeline, on a real server: its run is seen while it waits, its version stays, and reruns say which one they mean.

import { afterAll, beforeAll, expect, it } from "vitest";
import type { Json } from "../../core/json.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface TaskView {
  readonly id: string;
  readonly status: string;
  readonly run: { readonly id: string; readonly version: number; readonly status: string } | null;
}
interface RunView {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly TaskView[];
}

it("shows the run that waits inside it; a rerun has the same version of it, does what reads a changed param, and the latest only where that was asked for", async () => {
  const [outer, inner] = [freshPipeline("outer"), freshPipeline("inner")];
  const put = (name: string, tasks: string): Promise<unknown> =>
    kit.call("PUT", `/v1/pipelines/${name}`, `apiVersion: downbeat/v1\nname: ${name}\nparams: { type: object }\ntasks:\n${tasks}`);
  const deployInner = (words: string): Promise<unknown> =>
    put(inner, `  - { id: ask, approval: {} }\n  - { id: tell, needs: [ask], activity: { name: see, input: ${words} } }\n`);
  await put(
    outer,
    `  - { id: plain, activity: { name: see, input: plain } }
  - { id: day, needs: [plain], activity: { name: see, input: "day \${{ params.day }}" } }
  - { id: sub, needs: [day], pipeline: { name: ${inner} } }
`,
  );
  await deployInner("one");

  const runOf = (id: string): Promise<RunView> => kit.call("GET", `/v1/runs/${id}`);
  const subOf = ({ tasks }: RunView): TaskView | undefined => tasks.find(({ id }) => id === "sub");
  const decide = async (id: string, approve: boolean): Promise<RunView> => {
    let waiting = await runOf(id);
    await until("the inner run waits, and is shown so", async () => {
      waiting = await runOf(id);
      return subOf(waiting)?.status === "running" && subOf(waiting)?.run?.status === "waiting";
    });
    await kit.call("POST", `/v1/runs/${subOf(waiting)?.run?.id ?? ""}/tasks/ask/decide`, { approve, by: "anna" });
    await until("the outer run has ended", async () => (await runOf(id)).status === (approve ? "succeeded" : "failed"));
    return waiting;
  };
  const again = async (id: string, body: unknown): Promise<string> => (await kit.call<RunView>("POST", `/v1/runs/${id}/rerun`, body)).id;
  const seen = (): readonly Json[] => kit.seen.slice(told);
  let told = 0;

  const { id } = await kit.call<RunView>("POST", `/v1/pipelines/${outer}/runs`, { params: { day: "mon" } });
  expect(subOf(await decide(id, false))).toMatchObject({ status: "running", run: { version: 1, status: "waiting" } });
  // The two runs are written down by reports of their own.
  await until("the inner run is shown as failed, too", async () => subOf(await runOf(id))?.run?.status === "failed");
  expect(subOf(await runOf(id))).toMatchObject({ status: "failed", error: { code: "APPROVAL_REJECTED" }, run: { status: "failed" } });
  expect(seen()).toEqual(["plain", "day mon"]);

  await deployInner("two");
  told = kit.seen.length;
  const other = await again(id, { params: { day: "tue" } });
  expect(subOf(await decide(other, true))).toMatchObject({ run: { version: 1 } });
  expect(seen()).toEqual(["day tue", "one"]);

  told = kit.seen.length;
  const newest = await again(other, { from: "task", task: "sub", version: "latest" });
  expect(subOf(await decide(newest, true))).toMatchObject({ run: { version: 2 } });
  expect(seen()).toEqual(["two"]);
  const { items } = await kit.call<{ readonly items: readonly RunView[] }>("GET", `/v1/runs?parent=${newest}`);
  expect(items.map((run) => run.id)).toEqual([subOf(await runOf(newest))?.run?.id]);
});
