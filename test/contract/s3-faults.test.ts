// What goes wrong between Downbeat and S3: answers that are lost, attempts that live on, more objects than a page of a listing holds.

import { createServer, request as forward, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Load } from "../../connectors/connector.ts";
import { fromRows, toRows } from "../../connectors/lib/rows.ts";
import { s3 } from "../../connectors/s3/spec.ts";
import { freshBucket } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target } from "./load-kit.ts";

const folder = testFolder("s3-faults");
const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });

/** Stands between the connector and the server; decides by request what becomes of the answer. */
type Fault = (request: IncomingMessage) => "pass" | "lose the answer" | "cut the answer" | "slow down";
let fault: Fault = () => "pass";
let lost = 0;

const proxy = createServer((incoming, outgoing: ServerResponse) => {
  const verdict = fault(incoming);
  if (verdict === "slow down") {
    lost += 1;
    incoming.resume();
    outgoing.writeHead(503, { "content-type": "application/xml", "retry-after": "1" });
    outgoing.end("<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>");
    return;
  }
  const { hostname, port } = new URL(endpoint);
  const upstream = forward({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answer) => {
    if (verdict === "lose the answer") {
      lost += 1;
      answer.resume().on("end", () => incoming.socket.destroy());
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    if (verdict === "pass") answer.pipe(outgoing);
    else {
      lost += 1;
      answer.once("data", (chunk: Buffer) => outgoing.write(chunk.subarray(0, chunk.length / 2), () => incoming.socket.destroy()));
    }
  });
  incoming.pipe(upstream);
});
await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  client.destroy();
  proxy.closeAllConnections();
  proxy.close();
});
beforeEach(() => {
  fault = () => "pass";
  lost = 0;
});

const make = () =>
  openConnector(
    s3,
    {
      bucket,
      endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      region,
      path_style: true,
      access_key_id: accessKeyId,
      secret_access_key: secretAccessKey,
    },
    testContext(folder),
  );

const opened = async (): Promise<{ load: (table: string, origin?: string) => Promise<Load>; close(): Promise<void> }> => {
  const connector = await make();
  return {
    load: async (table, origin = "run-1") => {
      const load = await connector.destination?.openLoad(target({ key: `key of ${table}`, table, origin }));
      if (load === undefined) throw new Error("s3 is a destination");
      return load;
    },
    async close() {
      await connector[Symbol.asyncDispose]();
    },
  };
};

const columns = [column("id", { kind: "int64" })];
const batch = (...ids: readonly number[]) =>
  fromRows(
    columns,
    ids.map((id) => ({ id })),
    { position: ids.at(-1) ?? null },
  );

const keys = async (prefix: string): Promise<readonly string[]> =>
  ((await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))).Contents ?? []).map(({ Key = "" }) => Key);

const text = async (key: string): Promise<string> =>
  (await (await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body?.transformToString()) ?? "";

const manifestOf = async (table: string) => {
  const [key = ""] = (await keys(`${table}/_downbeat/`)).filter((name) => name.endsWith(".json"));
  return JSON.parse(await text(key)) as { readonly files: readonly string[]; readonly loads: Record<string, { readonly rows: number }> };
};

describe("writing", () => {
  it("a manifest whose answer was lost is known again: the load goes on", async () => {
    const { load: open, close } = await opened();
    const load = await open("late");
    for (const [index, id] of [1, 2].entries()) {
      fault = (request) =>
        request.method === "PUT" && request.url?.includes("_downbeat") === true && lost === index ? "lose the answer" : "pass";
      if (index === 0) await load.begin(null);
      await load.write(batch(id));
      await load.commit(id);
    }
    fault = () => "pass";
    await load.finish();
    await close();
    expect(lost).toBe(2);
    expect(await manifestOf("late")).toMatchObject({ files: [expect.any(String), expect.any(String)], loads: { "run-1": { rows: 2 } } });
  });

  it("an attempt that lives on changes nothing that its successor committed, and what it left behind is removed", async () => {
    const { load: open, close } = await opened();
    const slow = await open("zombie");
    await slow.begin(null);
    await slow.write(batch(1));
    const quick = await open("zombie");
    await quick.write(batch(1, 2));
    await quick.commit(2);
    await slow.write(batch(2, 3));
    await expect(slow.commit(3)).rejects.toMatchObject({ code: "LOAD_FENCED" });
    expect((await keys("zombie/")).filter((key) => key.endsWith(".parquet"))).toHaveLength(3);
    await quick.finish();
    await close();
    const { files } = await manifestOf("zombie");
    expect((await keys("zombie/")).filter((key) => key.endsWith(".parquet"))).toEqual(files);
    expect(files).toHaveLength(1);
  });

  it("files of other runs are left alone by that", async () => {
    const { load: open, close } = await opened();
    for (const origin of ["run-1", "run-11"]) {
      const load = await open("runs", origin);
      await load.begin(null);
      await load.write(batch(1));
      await load.commit(1);
      await load.finish();
    }
    await close();
    const { files } = await manifestOf("runs");
    expect(files).toHaveLength(2);
    expect((await keys("runs/")).filter((key) => key.endsWith(".parquet"))).toEqual(files.toSorted());
  });
});

describe("reading", () => {
  const read = async (stream: string, seen: (items: readonly string[]) => ReadonlySet<string> = () => new Set()) => {
    await using connector = await make();
    const rows: unknown[] = [];
    const reading = connector.source?.read({
      stream,
      options: s3.sourceOptions?.parse({ new_only: true }) as Record<string, unknown>,
      nullCursor: "fail",
      newRun: true,
      position: null,
      bounds: null,
      seen: (items) => Promise.resolve(seen(items)),
    });
    for await (const found of reading ?? []) rows.push(...toRows(found));
    return rows;
  };

  it("an answer that breaks off is SOURCE_UNAVAILABLE, never a shorter object", async () => {
    const lines = Array.from({ length: 50_000 }, (_, id) => `{"id":${id}}\n`).join("");
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "cut/a.jsonl", Body: lines }));
    fault = (request) => (request.method === "GET" && request.url?.includes("a.jsonl") === true ? "cut the answer" : "pass");
    await expect(read("cut/*")).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    expect(lost).toBeGreaterThan(0);
  });

  it("an answer that asks for patience is tried again by the client, and then by the task not before it is time", async () => {
    fault = () => "slow down";
    const failure = { code: "SOURCE_UNAVAILABLE", message: expect.stringContaining("SlowDown") as unknown, retryAfterMs: 1_000 };
    await expect(read("patience/*")).rejects.toMatchObject(failure);
    expect(lost).toBe(3);
  });

  it("a listing of several pages is followed to its end", async () => {
    const names = Array.from({ length: 1_005 }, (_, index) => `many/${String(index).padStart(4, "0")}.jsonl`);
    for (let start = 0; start < names.length; start += 50)
      await Promise.all(
        names
          .slice(start, start + 50)
          .map((Key, index) => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: `{"id":${start + index}}\n` }))),
      );
    let asked = 0;
    const rows = await read("many/*", (items) => {
      asked = items.length;
      return new Set(items.slice(0, -2));
    });
    expect(asked).toBe(1_005);
    expect(rows).toEqual([{ id: 1_003 }, { id: 1_004 }]);
  });

  it("bookkeeping of loads into the same bucket is nobody's data", async () => {
    const { load: open, close } = await opened();
    const load = await open("mixed");
    await load.begin(null);
    await load.write({ ...batch(1), rejects: [{ where: "w", code: "SOURCE_DATA_INVALID", reason: "r", raw: "{}" }] });
    await load.commit(1);
    await load.finish();
    await close();
    expect(await keys("mixed/_downbeat/")).toHaveLength(2);
    expect(await read("mixed/**")).toEqual([{ id: 1 }]);
  });
});
