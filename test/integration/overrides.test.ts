// What people change of a run, on a real server: one change upon the other, and reruns with and without them; and all that they do, twice.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import { freshName } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import { freshPipeline, runsOf, startWhole, type WholeKit } from "./whole-kit.ts";

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

interface Acted {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly { readonly id: string; readonly status: string; readonly attempts: number }[];
  readonly actions: readonly { readonly action: string; readonly by: string; readonly why: string | null }[];
}

const FAR = { year: 2099, month: 1, day_of_month: 1 };

type Body = Readonly<Record<string, unknown>>;
const ACTIONS: readonly (readonly [route: string, recorded: string, body: Body])[] = [
  ["pause", "pause", { why: "one" }],
  ["resume", "resume", { why: "two" }],
  ["tasks/broken/continue", "continue", { why: "three" }],
  ["tasks/broken/mark", "mark skipped", { why: "four", as: "skipped" }],
  ["tasks/asked/decide", "approve", { comment: "five", approve: true }],
  ["tasks/other/mark", "mark succeeded", { why: "six", as: "succeeded", output: 7 }],
];

describe("the same action sent twice at once, as by two clicks, and then again: it acts once and is recorded once", () => {
  it("those on a run, and its rerun", async () => {
    const name = freshPipeline("twice");
    kit.whileSeen = () => Promise.reject(new DownbeatError("SOURCE_AUTH", "wrong password"));
    await kit.call("PUT", `/v1/pipelines/${name}`, {
      apiVersion: "downbeat/v1",
      name,
      tasks: [
        { id: "broken", activity: { name: "see", input: name }, retry: { attempts: 1 }, on_exhausted: "park" },
        ...["asked", "other", "last"].map((id) => ({ id, approval: { message: "Go on?" } })),
      ],
    });
    const { id } = await kit.call<Acted>("POST", `/v1/pipelines/${name}/runs`, {});
    const show = (): Promise<Acted> => kit.call("GET", `/v1/runs/${id}`);
    const isParked = (attempts: number): Promise<void> =>
      until(`its task is parked after ${attempts} attempts`, async () =>
        (await show()).tasks.some((task) => task.id === "broken" && task.status === "parked" && task.attempts >= attempts),
      );
    await isParked(1);
    for (const [route, recorded, body] of ACTIONS) {
      const act = () => kit.call("POST", `/v1/runs/${id}/${route}`, { by: "ana", ...body }, `key of ${route}`);
      await Promise.all([act(), act()]);
      if (recorded === "continue") await isParked(2);
      await act();
    }
    await kit.call("POST", `/v1/runs/${id}/tasks/last/decide`, { by: "ana", approve: true });
    await until("the run has ended", async () => (await show()).status === "succeeded");
    const { tasks, actions } = await show();
    expect(tasks.map((task) => [task.id, task.status, task.attempts])).toEqual([
      ["broken", "skipped", 2],
      ["asked", "succeeded", 1],
      ["other", "succeeded", 1],
      ["last", "succeeded", 1],
    ]);
    expect(actions.slice(0, -1).map(({ action, by, why }) => [action, by, why])).toEqual(
      ACTIONS.map(([, recorded, { why, comment }]) => [recorded, "ana", why ?? comment]),
    );

    const again = () => kit.call<Acted>("POST", `/v1/runs/${id}/rerun`, { by: "ana", from: "start" }, "again");
    const reruns = [...(await Promise.all([again(), again()])), await again()];
    const [rerun] = reruns;
    expect(reruns.map((one) => one.id)).toEqual(reruns.map(() => rerun?.id));
    expect((await runsOf<Acted>(kit, name)).map((one) => one.id)).toEqual([id, rerun?.id]);
    expect((await kit.call<Acted>("GET", `/v1/runs/${rerun?.id}`)).actions).toMatchObject([{ action: "rerun", by: "ana" }]);
    await kit.call("POST", `/v1/runs/${rerun?.id}/cancel`, { by: "ana" });
  });

  it("those on what starts runs: the second one is refused and changes nothing, not even since when", async () => {
    const name = freshPipeline("twice");
    await kit.call("PUT", `/v1/pipelines/${name}`, {
      apiVersion: "downbeat/v1",
      name,
      schedules: [{ name: "far", calendar: FAR }],
      triggers: [{ name: "push", webhook: { secret: { env: "S" } } }],
      tasks: [{ id: "rest", wait: { for: "1s" } }],
    });
    for (const route of ["schedules/far", "triggers/push", ""])
      for (const action of ["pause", "resume", "pause"]) {
        const act = (by: string) =>
          kit.call("POST", `/v1/pipelines/${name}/${route === "" ? "" : `${route}/`}${action}`, { by, why: action });
        await act("ana");
        const shown = await kit.call("GET", `/v1/pipelines/${name}/${route}`);
        for (const by of ["ana", "ben"]) await expect(act(by)).rejects.toThrow("ACTION_REFUSED");
        expect(await kit.call("GET", `/v1/pipelines/${name}/${route}`)).toEqual(shown);
      }
  });

  it("the reset of a circuit", async () => {
    const [name, connection] = [freshPipeline("twice"), freshName("unwell")];
    await kit.call("PUT", `/v1/connections/${connection}`, {
      kind: "postgres",
      config: { host: "127.0.0.1", port: 1, database: "none", user: "none" },
      circuit_breaker: { failures: 1, within: "1m", open_for: "1h" },
    });
    await kit.call("PUT", `/v1/pipelines/${name}`, {
      apiVersion: "downbeat/v1",
      name,
      tasks: [{ id: "ask", sql: { connection, query: "select 1" }, retry: { attempts: 1 } }],
    });
    interface Connection {
      readonly circuit: { readonly state: string; readonly last_reset: Body | null };
    }
    const circuit = async () => (await kit.call<Connection>("GET", `/v1/connections/${connection}`)).circuit;
    await kit.call("POST", `/v1/pipelines/${name}/runs`, {});
    await until("it is open", async () => (await circuit()).state === "open");
    const reset = () => kit.call("POST", `/v1/connections/${connection}/reset`, { by: "ana", why: "mended" });
    await Promise.all([reset(), reset()]);
    await until("it is closed", async () => (await circuit()).state === "closed");
    await reset();
    expect(await circuit()).toMatchObject({ state: "closed", failures: 0, last_reset: { by: "ana", why: "mended" } });
  });
});
