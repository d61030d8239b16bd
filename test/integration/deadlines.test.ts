// A missed deadline where people look: in the API, and in the run's details in Temporal's UI.

import { afterAll, beforeAll, expect, it } from "vitest";
import { runWorkflowId } from "../../core/ids.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface ShownRun {
  readonly id: string;
  readonly status: string;
  readonly started_at: string;
  readonly tasks: readonly { readonly status: string; readonly deadline_missed_at: string | null }[];
}

it("is shown while the task goes on, and stays when it has ended", async () => {
  const pipeline = freshPipeline();
  await kit.call(
    "PUT",
    `/v1/pipelines/${pipeline}`,
    `apiVersion: downbeat/v1\nname: ${pipeline}\ntasks: [{ id: slow, deadline: 1s, activity: { name: see, input: null } }]\n`,
  );
  let isHeld = true;
  kit.whileSeen = async () => {
    await until("it is let go", () => !isHeld);
    return null;
  };
  const { id } = await kit.call<ShownRun>("POST", `/v1/pipelines/${pipeline}/runs`, {});
  const show = (): Promise<ShownRun> => kit.call("GET", `/v1/runs/${id}`);
  await until("it is late", async () => (await show()).tasks[0]?.deadline_missed_at !== null);
  const { started_at: startedAt, tasks } = await show();
  const deadline = new Date(Date.parse(startedAt) + 1_000).toISOString();
  expect(tasks).toMatchObject([{ status: "running", deadline_missed_at: deadline }]);
  const handle = kit.client.workflow.getHandle(runWorkflowId(pipeline, id));
  const { currentDetails } = await handle.query<{ readonly currentDetails?: string }>("__temporal_workflow_metadata");
  expect(currentDetails).toContain(`past their deadline: slow (since ${deadline})`);
  isHeld = false;
  await until("it has succeeded", async () => (await show()).status === "succeeded");
  expect((await show()).tasks).toMatchObject([{ status: "succeeded", deadline_missed_at: deadline }]);
});
