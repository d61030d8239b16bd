// Large payloads go compressed, small ones stay as they are.

import { defaultPayloadConverter, type Payload, type PayloadCodec } from "@temporalio/common";
import { expect, it } from "vitest";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";

const codec = DATA_CONVERTER.payloadCodecs[0] as PayloadCodec;
const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) as Payload;
const encodingOf = ({ metadata }: Payload): string => Buffer.from(metadata?.["encoding"] ?? []).toString();

const GRAPH = Array.from({ length: 5_000 }, (_, index) => ({ id: `task-${index}`, needs: [`task-${index - 1}`], operator: "noop" }));

it("compresses what is large, and gives it back as it was", async () => {
  const payloads = [payloadOf(GRAPH), payloadOf({ small: true })];
  const encoded = await codec.encode(payloads);
  expect(encoded.map(encodingOf)).toEqual(["binary/zlib", "json/plain"]);
  expect((encoded[0]?.data?.byteLength ?? 0) * 5).toBeLessThan(payloads[0]?.data?.byteLength ?? 0);
  const decoded = await codec.decode(encoded);
  expect(decoded.map((payload) => defaultPayloadConverter.fromPayload(payload))).toEqual([GRAPH, { small: true }]);
});

it("leaves alone what an earlier release or somebody else has written", async () => {
  const foreign: Payload = { metadata: { encoding: Buffer.from("binary/encrypted") }, data: new Uint8Array(300_000) };
  expect(await codec.decode([payloadOf(GRAPH), foreign, {}])).toEqual([payloadOf(GRAPH), foreign, {}]);
});

it("refuses what is no compressed payload", async () => {
  await expect(codec.decode([{ metadata: { encoding: Buffer.from("binary/zlib") }, data: new Uint8Array([1, 2, 3]) }])).rejects.toThrow();
});
