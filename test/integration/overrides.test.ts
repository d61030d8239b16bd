// What people change of a run, on a real server: one change upon the other, and reruns with and without them.

import { afterAll, beforeAll, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

interface RunView {
  readonly id: string;
  readonly status: string;
  readonly params: Json;
  readonly tasks: readonly { readonly id: string; readonly status: string; readonly attempts: number }[];
  readonly overrides: readonly { readonly task: string }[];
}
const runOf = (id: string): Promise<RunView> => kit.call("GET", `/v1/runs/${id}`);

it("tasks and params are changed while a run goes on; reruns of its version have the changes, others do without and do such tasks again", async () => {
  const [name, below] = [freshPipeline(), freshPipeline("below")];
  kit.whileSeen = (input) =>
    input === "broken 1" ? Promise.reject(new DownbeatError("SOURCE_AUTH", "wrong password")) : Promise.resolve(null);
  const deploy = (of: string, rest: string): Promise<unknown> =>
    kit.call("PUT", `/v1/pipelines/${of}`, `apiVersion: downbeat/v1\nname: ${of}\nparams: { type: object }\n${rest}`);
  await deploy(below, `tasks:\n  - { id: tell, activity: { name: see, input: "below \${{ params.of }}" } }\n`);
  await deploy(
    name,
    `defaults: { on_exhausted: park, retry: { attempts: 1 } }
tasks:
  - { id: first, activity: { name: see, input: "broken \${{ params.day }}" } }
  - { id: second, needs: [first], pipeline: { name: ${below}-none, params: { of: "\${{ params.day }} \${{ params.shop }}" } } }
`,
  );
  const { id } = await kit.call<RunView>("POST", `/v1/pipelines/${name}/runs`, { params: { day: 1, shop: 1 } });
  const parked = (task: string): Promise<void> =>
    until(`${task} is parked`, async () => (await runOf(id)).tasks.some((one) => one.id === task && one.status === "parked"));
  const goOn = (task: string, body: unknown): Promise<unknown> => kit.call("POST", `/v1/runs/${id}/tasks/${task}/continue`, body);
  await parked("first");
  await goOn("first", {
    by: "anna",
    why: "renamed",
    with: { activity: { name: "see", input: "mended ${{ params.day }}" } },
    params: { day: 2 },
  });
  await parked("second");
  const config = { name: below, params: { of: "${{ params.day }} ${{ params.shop }}" } };
  await goOn("second", { by: "ben", with: { pipeline: config }, params: { shop: 2 } });
  const ended = async (run: string): Promise<RunView> => {
    await until(`${run} has succeeded`, async () => (await runOf(run)).status === "succeeded");
    return runOf(run);
  };
  expect(await ended(id)).toMatchObject({
    params: { day: 2, shop: 2 },
    overrides: [
      { task: "first", by: "anna" },
      { task: "second", by: "ben" },
    ],
  });
  expect(kit.seen).toEqual(["broken 1", "mended 2", "below 2 2"]);

  const again = async (body: unknown): Promise<string> => (await kit.call<RunView>("POST", `/v1/runs/${id}/rerun`, body)).id;
  const whole = await again({ from: "start" });
  expect(await ended(whole)).toMatchObject({ params: { day: 2, shop: 2 }, overrides: [{ task: "first" }, { task: "second" }] });
  expect(kit.seen.slice(3)).toEqual(["mended 2", "below 2 2"]);
  await ended(await again({ from: "task", task: "second" }));
  expect(kit.seen.slice(5)).toEqual(["below 2 2"]);
  const without = await again({ version: "latest" });
  await until("it does what was changed as the version says", async () => (await runOf(without)).tasks[1]?.status === "parked");
  expect(kit.seen.slice(6)).toEqual(["broken 2"]);
  expect(await runOf(without)).toMatchObject({
    overrides: [],
    actions: [{ details: { left_out: [{ task: "first" }, { task: "second" }] } }],
  });
  await kit.call("POST", `/v1/runs/${without}/cancel`, { by: "anna" });
});
