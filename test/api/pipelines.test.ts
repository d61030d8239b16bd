// /v1/pipelines: deploy, validate, versions.

import { beforeAll, describe, expect, it } from "vitest";
import { definitionOf, useApi } from "./kit.ts";

interface Issues {
  readonly code: string;
  readonly issues: readonly { readonly code: string; readonly path: string; readonly line?: number; readonly message: string }[];
}

describe("pipelines over HTTP", () => {
  const api = useApi();

  beforeAll(async () => {
    await api().send("PUT", "/v1/connections/api", { kind: "sample", config: { host: "h" } });
  });

  it("get a version for each new content, with the changed paths", async () => {
    const { send } = api();
    const first = await send("PUT", "/v1/pipelines/deployed", definitionOf("deployed"));
    expect(first).toMatchObject({ status: 201, body: { name: "deployed", version: 1, created: true, changed: [] } });
    expect(first.headers.get("location")).toBe("/v1/pipelines/deployed");
    // A comment is no change of content.
    expect(await send("PUT", "/v1/pipelines/deployed", `# a comment\n${definitionOf("deployed")}`)).toMatchObject({
      status: 200,
      body: { version: 1, created: false },
    });
    const second = await send("PUT", "/v1/pipelines/deployed", definitionOf("deployed", "    retry: { attempts: 7 }\nowner: us\n"));
    expect(second).toMatchObject({ status: 201, body: { version: 2 } });
    expect((second.body as { changed: string[] }).changed.toSorted()).toEqual(["owner", "tasks.call.retry"]);
    expect((await send("GET", "/v1/pipelines/deployed")).body).toMatchObject({ version: 2, format: "yaml", definition: { owner: "us" } });
    const old = await send("GET", "/v1/pipelines/deployed/versions/1");
    expect(old.body).toMatchObject({ version: 1, source: definitionOf("deployed") });
    const { body } = await send("GET", "/v1/pipelines/deployed/versions?limit=1");
    expect(body).toMatchObject({ items: [{ version: 2 }] });
    const next = (body as { next: string }).next;
    expect((await send("GET", `/v1/pipelines/deployed/versions?limit=1&cursor=${next}`)).body).toMatchObject({
      items: [{ version: 1 }],
      next: null,
    });
    for (const path of ["versions/3", "versions/x"]) expect((await send("GET", `/v1/pipelines/deployed/${path}`)).status).toBe(404);
    expect((await send("GET", "/v1/pipelines/absent/versions")).status).toBe(404);
    expect((await send("GET", "/v1/pipelines?limit=500")).text).toContain('"deployed"');
  });

  it("may come as JSON, which is the same content", async () => {
    const { send } = api();
    const definition = {
      apiVersion: "downbeat/v1",
      name: "as-json",
      tasks: [{ http: { path: "/x", method: "GET", connection: "api" }, id: "call" }],
    };
    expect((await send("PUT", "/v1/pipelines/as-json", definition)).status).toBe(201);
    expect((await send("GET", "/v1/pipelines/as-json")).body).toMatchObject({ format: "json" });
    expect((await send("PUT", "/v1/pipelines/as-json", definitionOf("as-json"))).body).toMatchObject({ version: 1, created: false });
  });

  it("are refused with every fault and its line", async () => {
    const { send } = api();
    const text = `apiVersion: downbeat/v1
name: faulty
tasks:
  - id: a
    needs: [b, c]
    http: { connection: nowhere, method: GET }
  - id: b
    needs: [a]
    http: { connection: api, method: GET }
`;
    const answer = await send("PUT", "/v1/pipelines/faulty", text);
    expect(answer.status).toBe(422);
    const { code, issues } = answer.body as Issues;
    expect(code).toBe("DEFINITION_INVALID");
    expect(issues.map((issue) => issue.code).toSorted()).toEqual(["CYCLE", "UNKNOWN_CONNECTION", "UNKNOWN_DEPENDENCY"]);
    expect(issues.find((issue) => issue.code === "UNKNOWN_DEPENDENCY")).toMatchObject({ path: "tasks[0].needs[1]", line: 5 });
    expect((await send("GET", "/v1/pipelines/faulty")).status).toBe(404);
  });

  const faultsOf = async (text: string): Promise<readonly string[]> =>
    ((await api().send("POST", "/v1/pipelines/validate", text)).body as Issues).issues
      .map(({ code, path }) => `${code} ${path}`)
      .toSorted();

  it("that do not fit the schema are told what the rest of them means, too", async () => {
    const text = `apiVersion: downbeat/v1
name: many
schedules: [{ cron: "61 * * * *", timezone: Europe/Berln, evry: 1h }]
tasks:
  - { id: a, need: [b], http: { connection: api, method: GET, path: "/\${{ params.nowhere }}" } }
  - { id: b, http: { connection: nowhere, method: GET, path: "/\${{ params.x + }}" } }
  - { id: c, htp: { connection: api } }
  - { id: d, http: { connection: api }, wait: { for: 1s } }
  - { id: e, retry: { attempts: 0 }, needs: [e] }
`;
    expect(await faultsOf(text)).toEqual([
      "INVALID_EXPRESSION tasks[1].http.path",
      "INVALID_SCHEDULE schedules[0].cron",
      "INVALID_SCHEDULE schedules[0].timezone",
      "INVALID_VALUE tasks[4].retry.attempts",
      "SELF_DEPENDENCY tasks[4].needs[0]",
      "SEVERAL_OPERATORS tasks[3]",
      "UNKNOWN_CONNECTION tasks[1].http.connection",
      "UNKNOWN_KEY schedules[0].evry",
      "UNKNOWN_KEY tasks[0].need",
      "UNKNOWN_OPERATOR tasks[2].htp",
    ]);
  });

  it("are told what a task's connections say of it, although other parts of the same task are wrong", async () => {
    const text = `apiVersion: downbeat/v1
name: both
tasks:
  - id: a
    retry: { attempts: 0 }
    tpo: 1
    transfer:
      from: { connection: api, stream: orders, new_onyl: true }
      to: { connection: nowhere, table: t, mode: merg, key: [id, 3] }
      follow: { every: 5x }
  - { id: b, transfer: { from: 3, to: { connection: nowhere, table: t } } }
  - null
`;
    // Of a list of tasks with something else in it nothing more can be told.
    expect(await faultsOf(text)).toEqual([
      "INVALID_DURATION tasks[0].transfer.follow.every",
      "INVALID_VALUE tasks[0].retry.attempts",
      "INVALID_VALUE tasks[0].transfer.to.key[1]",
      "INVALID_VALUE tasks[0].transfer.to.mode",
      "INVALID_VALUE tasks[1].transfer.from",
      "INVALID_VALUE tasks[2]",
      "UNKNOWN_KEY tasks[0].tpo",
    ]);
    expect(await faultsOf(text.replace("  - null\n", ""))).toEqual([
      "INVALID_DURATION tasks[0].transfer.follow.every",
      "INVALID_VALUE tasks[0].retry.attempts",
      "INVALID_VALUE tasks[0].transfer.to.key[1]",
      "INVALID_VALUE tasks[0].transfer.to.mode",
      "INVALID_VALUE tasks[1].transfer.from",
      "UNKNOWN_CONNECTION tasks[0].transfer.to.connection",
      "UNKNOWN_KEY tasks[0].tpo",
      "UNKNOWN_KEY tasks[0].transfer.from.new_onyl",
    ]);
  });

  it("are told nothing that may be wrong only since a part of them could not be read", async () => {
    // What is called \`parameters\` may have been meant as params, and \`need\` as needs.
    const text = `apiVersion: downbeat/v1
name: doubtful
parameters: { type: object }
tasks:
  - { id: a, http: { connection: api, method: GET } }
  - { id: b, need: [a], http: { connection: api, method: GET } }
  - { id: c, needs: [b], http: { connection: api, method: GET, path: "/\${{ params.day }}/\${{ tasks.a.output.status }}" } }
`;
    expect(await faultsOf(text)).toEqual(["UNKNOWN_KEY parameters", "UNKNOWN_KEY tasks[1].need"]);
  });

  it("that cannot be read say where", async () => {
    const answer = await api().send("PUT", "/v1/pipelines/broken", "apiVersion: downbeat/v1\nname: [\n");
    expect(answer).toMatchObject({ status: 422, body: { code: "DEFINITION_MALFORMED" } });
    expect((answer.body as Issues).issues[0]?.line).toBeGreaterThan(1);
    for (const [body, headers] of [
      [undefined, {}],
      ["", { "content-type": "application/yaml" }],
      ["", { "content-type": "application/json" }],
    ] as const)
      expect(await api().send("PUT", "/v1/pipelines/broken", body, headers)).toMatchObject({
        status: 400,
        body: { code: "REQUEST_INVALID", detail: expect.stringContaining("the body is empty") as string },
      });
  });

  it("are deployed under their own name", async () => {
    const answer = await api().send("PUT", "/v1/pipelines/one", definitionOf("two"));
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: "name" }] } });
  });

  it("with params that are no JSON Schema are refused", async () => {
    const answer = await api().send("PUT", "/v1/pipelines/schemaless", definitionOf("schemaless", "params: { type: nonsense }\n"));
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: "params", line: 6 }] } });
  });

  it("are validated without being saved", async () => {
    const { send } = api();
    expect(await send("POST", "/v1/pipelines/validate", definitionOf("tried"))).toMatchObject({
      status: 200,
      body: { valid: true, name: "tried", tasks: 1 },
    });
    expect((await send("GET", "/v1/pipelines/tried")).status).toBe(404);
    expect((await send("POST", "/v1/pipelines/validate", definitionOf("Tried"))).status).toBe(422);
  });

  it("show where their loads stand, page by page", async () => {
    const { send, store } = api();
    await send("PUT", "/v1/pipelines/loading", definitionOf("loading"));
    for (const stream of ["a", "b"]) {
      await store.loads.record({
        key: `loading/task/${stream}`,
        runId: "run-1",
        position: { values: [stream] },
        rows: 3,
        bytes: 30,
        deadLetters: 1,
      });
    }
    const first = await send("GET", "/v1/pipelines/loading/loads?limit=1");
    expect(first.body).toMatchObject({
      items: [{ key: "loading/task/a", run_id: "run-1", position: { values: ["a"] }, rows: 3, dead_letters: 1 }],
    });
    const { next } = first.body as { next: string };
    expect((await send("GET", `/v1/pipelines/loading/loads?limit=1&cursor=${next}`)).body).toMatchObject({
      items: [{ key: "loading/task/b" }],
      next: null,
    });
    expect((await send("GET", "/v1/pipelines/nowhere/loads")).status).toBe(404);
  });
});
