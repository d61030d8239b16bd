// Pipelines that run pipelines, over HTTP: what is said at deployment, and the runs that tasks have started.

import { beforeAll, describe, expect, it } from "vitest";
import type { RunStatus } from "../../core/run-changes.ts";
import { definitionOf, useApi, type Answer } from "./kit.ts";

const outer = (name: string, pipeline: string): string => `apiVersion: downbeat/v1
name: ${name}
tasks:
  - id: sub
    pipeline: ${pipeline}
  - id: many
    for_each: { in: [1, 2] }
    pipeline: { name: inner }
  - id: last
    needs: [sub]
    http: { connection: api, path: /x }
`;

describe("a pipeline that runs another", () => {
  const api = useApi();
  const put = (name: string, pipeline: string): Promise<Answer> => api().send("PUT", `/v1/pipelines/${name}`, outer(name, pipeline));
  const warningsOf = ({ body }: Answer) => (body as { warnings: unknown[] }).warnings;

  beforeAll(async () => {
    await api().send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
  });

  it("is taken with a warning while there is no such pipeline or version", async () => {
    const missing = {
      code: "UNKNOWN_PIPELINE",
      path: "tasks[0].pipeline.name",
      line: 5,
      message: 'there is no pipeline "inner" yet; task "sub" fails with NOT_FOUND if there is none when it begins',
    };
    const first = await put("outer", "{ name: inner }");
    expect([first.status, warningsOf(first)]).toEqual([
      201,
      [expect.objectContaining(missing), expect.objectContaining({ path: "tasks[1].pipeline.name" })],
    ]);
    expect((await api().send("PUT", "/v1/pipelines/inner", definitionOf("inner"))).body).toMatchObject({ warnings: [] });
    expect(warningsOf(await put("outer", "{ name: inner }"))).toEqual([]);
    const valid = await api().send("POST", "/v1/pipelines/validate", outer("outer", "{ name: inner, version: 7 }"));
    expect(valid).toMatchObject({ status: 200, body: { valid: true, warnings: [{ path: "tasks[0].pipeline.version" }] } });
    for (const pipeline of ["{ name: inner, version: 1 }", "{ name: itself }", '{ name: "${{ run.pipeline }}" }'])
      expect([pipeline, warningsOf(await put("itself", pipeline))]).toEqual([pipeline, []]);
  });

  describe("shows", () => {
    let id = "";
    const start = (run: string, taskId: string): Promise<unknown> =>
      api().store.runs.create({
        id: `${id}.${run}`,
        pipeline: "inner",
        version: 1,
        planHash: "inner-hash",
        origin: id,
        trigger: "pipeline",
        params: {},
        parent: { runId: id, taskId, depth: 1 },
      });
    const is = (run: string, status: RunStatus): Promise<unknown> =>
      api().store.runs.apply({ runId: run, seq: 1, status, startedAt: "2026-01-02T03:04:05.000Z", tasks: [], attempts: [] });
    const runsOfTasks = async (): Promise<unknown> => {
      const { body } = await api().send("GET", `/v1/runs/${id}`);
      return (body as { tasks: { id: string; run: unknown }[] }).tasks.map(({ run }) => run);
    };
    const list = async (query: string) =>
      (await api().send("GET", `/v1/runs?parent=${id}${query}`)).body as { items: { id: string }[]; next: string | null };
    const idsOf = ({ items }: { items: { id: string }[] }): readonly string[] => items.map((run) => run.id.slice(id.length + 1));

    beforeAll(async () => {
      await put("shown", "{ name: inner }");
      const answer = await api().send("POST", "/v1/pipelines/shown/runs", {});
      id = (answer.body as { id: string }).id;
    });

    it("the newest run that a task has started, as it is, as soon as there is one and after all has ended", async () => {
      expect(await runsOfTasks()).toEqual([null, null, null]);
      await start("sub.1", "sub");
      const first = { id: `${id}.sub.1`, pipeline: "inner", version: 1 };
      expect(await runsOfTasks()).toEqual([{ ...first, status: "queued" }, null, null]);
      await is(first.id, "waiting");
      expect(await runsOfTasks()).toEqual([{ ...first, status: "waiting" }, null, null]);
      await start("sub.2", "sub");
      const second = { ...first, id: `${id}.sub.2` };
      await is(second.id, "failed");
      await is(id, "failed");
      expect(await runsOfTasks()).toEqual([{ ...second, status: "failed" }, null, null]);
    });

    it("all of them in the list of runs, by page, of a task and of the whole run", async () => {
      for (const item of ["many.1.0.1", "many.1.1.1"]) await start(item, "many");
      expect(idsOf(await list(""))).toEqual(["many.1.1.1", "many.1.0.1", "sub.2", "sub.1"]);
      expect(idsOf(await list("&parent_task=sub"))).toEqual(["sub.2", "sub.1"]);
      expect(idsOf(await list("&parent_task=many&status=queued"))).toEqual(["many.1.1.1", "many.1.0.1"]);
      const page = await list("&limit=3");
      expect(idsOf(await list(`&limit=3&cursor=${page.next ?? ""}`))).toEqual(["sub.1"]);
      expect((await api().send("GET", "/v1/runs?parent=none")).body).toMatchObject({ items: [] });
      expect((await api().send("GET", "/v1/runs?parent_task=sub")).status).toBe(400);
    });
  });
});
