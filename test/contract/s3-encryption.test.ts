// Server-side encryption: what each kind of writing asks the server for, as its requests say it on their way to a real one.

import { createServer, request as forward, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { fromRows } from "../../connectors/lib/rows.ts";
import { s3 } from "../../connectors/s3/spec.ts";
import { freshBucket } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target } from "./load-kit.ts";

const folder = testFolder("s3-encryption");
const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}
let asked: Asked[] = [];
beforeEach(() => {
  asked = [];
});

const proxy = createServer((incoming, outgoing) => {
  const { method = "", url = "", headers } = incoming;
  asked.push({ method, url, headers });
  const { hostname, port } = new URL(endpoint);
  const upstream = forward({ hostname, port, path: url, method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  });
  incoming.pipe(upstream);
});
await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
afterAll(() => {
  proxy.closeAllConnections();
  proxy.close();
});

const config = (more: object): Readonly<Record<string, unknown>> => ({
  bucket,
  endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  region,
  path_style: true,
  access_key_id: accessKeyId,
  secret_access_key: secretAccessKey,
  ...more,
});
const make = (more: object) => openConnector(s3, config(more), testContext(folder));

/** Parts of an upload are encrypted as it was begun. */
const writes = (): readonly Asked[] =>
  asked.filter(({ method, url }) => (method === "PUT" && !url.includes("partNumber=")) || (method === "POST" && /[?&]uploads/.test(url)));

const content = async function* (bytes: number) {
  for (let left = bytes; left > 0; left -= 1_000_000) yield Buffer.alloc(Math.min(left, 1_000_000), 7);
};

const writeAll = async (more: object, name: string): Promise<void> => {
  await using connector = await make(more);
  const load = await connector.destination!.openLoad(target({ key: name, table: `${name}-table` }));
  await load.begin(null);
  const rejects = [{ where: "w", code: "SOURCE_DATA_INVALID", reason: "r", raw: "{}" }] as const;
  await load.write({ ...fromRows([column("id", { kind: "int64" })], [{ id: 1 }], { position: 1 }), rejects });
  await load.commit(1);
  await load.finish();
  const files = connector.files!;
  await files.write(`${name}-small`, content(10), { replace: true, key: "k", size: 10 });
  await files.write(`${name}-large`, content(9_000_000), { replace: true, key: "k", size: 9_000_000 });
  const found = await files.find(`${name}-large`);
  expect(found?.size).toBe(9_000_000);
  expect(await files.takeOver?.(files, found!, `${name}-copy`, { replace: true, key: "k", move: false })).toBe("copied");
};

describe("server-side encryption", () => {
  it.each([
    ["plain", {}, undefined, undefined],
    ["aes", { server_side_encryption: "AES256" }, "AES256", undefined],
    ["kms", { server_side_encryption: "aws:kms" }, "aws:kms", undefined],
    [
      "kms-key",
      { server_side_encryption: "aws:kms", kms_key_id: "arn:aws:kms:eu-north-1:1:key/a" },
      "aws:kms",
      "arn:aws:kms:eu-north-1:1:key/a",
    ],
  ])("%s: rows, manifests, dead letters, files in one piece and in parts, and copies", async (name, more, algorithm, key) => {
    await writeAll(more, name);
    const named = (text: string): number => writes().filter(({ url }) => url.includes(text)).length;
    expect(named(".parquet")).toBe(1);
    expect(named("/dead-letters/")).toBe(1);
    expect(named("_downbeat/")).toBe(4);
    for (const kind of ["small", "large", "copy"]) expect(named(`${name}-${kind}`), kind).toBe(1);
    expect(asked.filter(({ url }) => url.includes("partNumber="))).toHaveLength(2);
    for (const { headers, method, url } of writes()) {
      const { "x-amz-server-side-encryption": said, "x-amz-server-side-encryption-aws-kms-key-id": saidKey } = headers;
      expect({ said, saidKey }, `${method} ${url}`).toEqual({ said: algorithm, saidKey: key });
    }
  });

  it("a key without aws:kms is refused", () => {
    for (const more of [{ kms_key_id: "k" }, { kms_key_id: "k", server_side_encryption: "AES256" }])
      expect(s3.config.safeParse(config(more)).success).toBe(false);
    expect(s3.config.safeParse(config({ server_side_encryption: "none" })).success).toBe(false);
  });
});
