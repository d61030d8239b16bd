// Triggers that look for their events, on real servers: topics, objects, files; each event once; what cannot be judged; looks that fail or cost nothing.

import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Producer } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { triggerWorkflowId } from "../../core/ids.ts";
import type { Json } from "../../core/json.ts";
import { freshBucket, freshTopic } from "../fixtures/services.ts";
import { until } from "../workflow/kit.ts";
import * as whole from "./whole-kit.ts";
import { freshPipeline, startWhole, type WholeKit } from "./whole-kit.ts";

let kit: WholeKit;
beforeAll(async () => {
  kit = await startWhole();
});
afterAll(() => kit?.stop());

const deploy = (name: string, trigger: string): Promise<unknown> =>
  kit.call(
    "PUT",
    `/v1/pipelines/${name}`,
    `apiVersion: downbeat/v1
name: ${name}
params: { type: object, properties: { n: {} } }
tasks:
  - id: tell
    activity: { name: see, input: { of: ${name} } }
triggers: [{ name: look, ${trigger} }]
`,
  );

interface RunView {
  readonly status: string;
  readonly params: { readonly n?: Json };
}
const runsOf = (pipeline: string): Promise<readonly RunView[]> => whole.runsOf<RunView>(kit, pipeline);
const paramsOf = async (pipeline: string) => (await runsOf(pipeline)).map(({ params }) => params.n);
const started = (pipeline: string, count: number): Promise<void> => whole.succeeded(kit, pipeline, count);

interface EventView {
  readonly status: string;
  readonly data: Json;
  readonly error: { readonly code: string } | null;
}
const eventsOf = async (pipeline: string, query = ""): Promise<readonly EventView[]> =>
  (await kit.call<{ readonly items: readonly EventView[] }>("GET", `/v1/pipelines/${pipeline}/triggers/look/events${query}`)).items;

interface TriggerView {
  readonly state: {
    readonly waiting: number;
    readonly looks: { readonly without_news: number; readonly trouble: string | null } | null;
  } | null;
}
const triggerOf = (pipeline: string) => kit.call<TriggerView>("GET", `/v1/pipelines/${pipeline}/triggers/look`);
const hasLooked = (pipeline: string) =>
  until(`${pipeline} has looked`, async () => ((await triggerOf(pipeline)).state?.looks?.without_news ?? 0) > 0);

describe("a topic", () => {
  const connect = async (name: string, brokers: readonly string[]) =>
    kit.call("PUT", `/v1/connections/${name}`, { kind: "kafka", config: { brokers } });
  const send = async (brokers: readonly string[], topic: string, values: readonly string[]) => {
    const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], idempotent: true });
    try {
      await producer.send({ messages: values.map((value) => ({ topic, partition: 0, value: Buffer.from(value) })) });
    } finally {
      await producer.close();
    }
  };

  it("starts a run for each message that comes, once; those that cannot be judged say why", async () => {
    const name = freshPipeline();
    const { brokers, topic } = await freshTopic(1);
    await connect(name, brokers);
    await send(brokers, topic, ['{"n": 0}']);
    const trigger = `stream: { connection: ${name}, stream: ${topic}, every: 1s }, when: event.data.value.n > 0, params: { n: "\${{ event.data.value.n }}" }`;
    await deploy(name, trigger);
    await hasLooked(name);
    await send(brokers, topic, ['{"n": 1}', '{"n": -1}', "no json", "{}", '{"n": 2}', `{"n": 3, "x": "${"x".repeat(70_000)}"}`]);
    await started(name, 2);
    expect(await paramsOf(name)).toEqual([1, 2]);
    expect((await eventsOf(name, "?status=refused")).map(({ error }) => error?.code)).toEqual([
      "BODY_TOO_LARGE",
      "EXPRESSION_FAILED",
      "SOURCE_DATA_INVALID",
    ]);
    expect(await eventsOf(name, "?status=started&limit=1")).toMatchObject([{ status: "started", data: { value: { n: 2 }, offset: 5 } }]);
    // Its workflow is ended: what has come meanwhile is found, what was there is not taken again.
    await kit.client.workflow.getHandle(triggerWorkflowId({ pipeline: name, name: "look" })).terminate("the test");
    await send(brokers, topic, ['{"n": 4}']);
    await deploy(name, `${trigger}, debounce: 1s`);
    await started(name, 3);
    expect(await paramsOf(name)).toEqual([1, 2, 4]);
  });

  it("takes thousands of messages, each once and in their order", async () => {
    const name = freshPipeline();
    const { brokers, topic } = await freshTopic(1);
    await connect(name, brokers);
    await send(
      brokers,
      topic,
      Array.from({ length: 3_000 }, (_, n) => String(n)),
    );
    await deploy(
      name,
      `stream: { connection: ${name}, stream: ${topic}, from: earliest }, batch: { max: 500, within: 2s }, params: { n: "\${{ events.map(e, e.data.value) }}" }`,
    );
    await until("all have become part of runs", async () => (await paramsOf(name)).flat().length >= 3_000);
    expect((await paramsOf(name)).flat().toSorted((left, right) => Number(left) - Number(right))).toEqual(
      Array.from({ length: 3_000 }, (_, n) => n),
    );
    const [first] = (await paramsOf(name)) as readonly (readonly number[])[];
    expect(first).toEqual(Array.from({ length: first?.length ?? 0 }, (_, n) => n));
  });

  it("says what is wrong, and goes on when it is right", async () => {
    const name = freshPipeline();
    const { brokers } = await freshTopic(1);
    await connect(name, brokers);
    const later = await freshTopic(1);
    await deploy(name, `stream: { connection: ${name}, stream: nowhere, every: 1s }`);
    await until("it says so", async () => (await triggerOf(name)).state?.looks?.trouble?.includes("nowhere") === true);
    await deploy(name, `stream: { connection: ${name}, stream: ${later.topic}, every: 1s, from: earliest }`);
    await send(brokers, later.topic, ["1"]);
    await started(name, 1);
  });
});

describe("files", () => {
  it("start a run for each that is new or has new content", async () => {
    const name = freshPipeline();
    const folder = path.join(kit.dataDir, name);
    await mkdir(folder);
    /** As a whole: a look that meets a file while it is written takes each half for new content. */
    const put = async (file: string, content: string): Promise<void> => {
      await writeFile(path.join(folder, `.${file}`), content);
      await rename(path.join(folder, `.${file}`), path.join(folder, file));
    };
    await put("old.csv", "1");
    await deploy(name, `files: { glob: "${name}/*.csv", every: 1s }, params: { n: "\${{ event.data.path }}" }`);
    await hasLooked(name);
    await put("a.csv", "1");
    await put("b.txt", "1");
    await started(name, 1);
    await put("a.csv", "1 and more");
    await started(name, 2);
    expect(await paramsOf(name)).toEqual([`${name}/a.csv`, `${name}/a.csv`]);
    expect((await eventsOf(name, "?status=ignored")).map(({ data }) => (data as { readonly path: string }).path)).toEqual([
      `${name}/old.csv`,
    ]);
    // Looks that find nothing leave nothing in the history.
    const { historyLength } = await kit.client.workflow.getHandle(triggerWorkflowId({ pipeline: name, name: "look" })).describe();
    const looked = async () => (await triggerOf(name)).state?.looks?.without_news ?? 0;
    await until("it has looked often", async () => (await looked()) >= 3);
    const { historyLength: later } = await kit.client.workflow.getHandle(triggerWorkflowId({ pipeline: name, name: "look" })).describe();
    expect(later - historyLength).toBeLessThan(10);
  });

  it("of S3, with those that were there where that is asked", async () => {
    const name = freshPipeline();
    const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    const put = (key: string, content: string) => client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }));
    try {
      await put("in/1.csv", "a");
      await kit.call("PUT", `/v1/connections/${name}`, {
        kind: "s3",
        config: { bucket, endpoint, region, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey },
      });
      await deploy(
        name,
        `files: { connection: ${name}, glob: "in/*.csv", existing: true, every: 1s }, params: { n: "\${{ event.data.path }}" }`,
      );
      await started(name, 1);
      await put("in/2.csv", "b");
      await started(name, 2);
      expect(await paramsOf(name)).toEqual(["in/1.csv", "in/2.csv"]);
    } finally {
      client.destroy();
    }
  });
});
