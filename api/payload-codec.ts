// What Temporal keeps of large payloads: the graph of thousands of tasks goes compressed, everything else as it is, for people to read.

import { promisify } from "node:util";
import { deflate, inflate } from "node:zlib";
import type { DataConverter, Payload, PayloadCodec } from "@temporalio/common";
import proto from "@temporalio/proto";

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/** As the codec of Temporal's Go SDK does it, so that its codec servers can show these payloads in Temporal's UI. */
const ENCODING = "binary/zlib";
/** Temporal warns at 512 KB and refuses at 2 MB. What is smaller stays readable in its UI. */
const LARGE_BYTES = 128 * 1024;
/** More than any payload of ours has: what claims to hold more is not ours. */
const MOST_BYTES = 64 * 1024 * 1024;

const compress = promisify(deflate);
const expand = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

const encode = async (payload: Payload): Promise<Payload> => {
  if ((payload.data?.byteLength ?? 0) < LARGE_BYTES) return payload;
  const data = await compress(PayloadMessage.encode(payload).finish());
  return { metadata: { encoding: Buffer.from(ENCODING) }, data };
};

const decode = async (payload: Payload): Promise<Payload> => {
  const encoding = payload.metadata?.["encoding"];
  if (encoding === undefined || !payload.data || Buffer.from(encoding).toString() !== ENCODING) return payload;
  return PayloadMessage.decode(await expand(payload.data, { maxOutputLength: MOST_BYTES }));
};

const compressLarge: PayloadCodec = {
  encode: (payloads) => Promise.all(payloads.map(encode)),
  decode: (payloads) => Promise.all(payloads.map(decode)),
};

/** Of every client (`orchestrator-client.ts`) and worker of Downbeat, and of whoever reads their payloads. */
export const DATA_CONVERTER = { payloadCodecs: [compressLarge] } satisfies DataConverter;
