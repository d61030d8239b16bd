// Topics whose messages have schemas of a real registry: registering, sending, loading.

import { Producer } from "@platformatic/kafka";
import type { Batch } from "../../connectors/batch.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import { toRows, typeName } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { freshName, kafkaBrokers, schemaRegistryUrl } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

/** No registry has come so far. */
export const UNKNOWN_ID = 2_000_000_000;

interface Reference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** The schema's id. */
export const register = async (
  schema: object | string,
  more: { schemaType?: string; references?: readonly Reference[] } = {},
  subject = freshName(),
) => {
  const response = await fetch(`${schemaRegistryUrl()}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: typeof schema === "string" ? schema : JSON.stringify(schema), ...more }),
  });
  const answer = (await response.json()) as { readonly id?: number };
  if (answer.id === undefined) throw new Error(`the registry answered ${JSON.stringify(answer)}`);
  return answer.id;
};

/** Null: a tombstone. */
export const send = async (topic: string, values: readonly (Buffer | null)[]): Promise<void> => {
  const producer = new Producer({ clientId: "test", bootstrapBrokers: [...kafkaBrokers()], idempotent: true });
  try {
    await producer.send({
      messages: values.map((value, index) => ({
        topic,
        key: Buffer.from(`k${index}`),
        partition: 0,
        ...(value === null ? {} : { value }),
      })),
    });
  } finally {
    await producer.close();
  }
};

interface Manner {
  readonly position?: Json;
  readonly options?: object;
  readonly config?: Record<string, unknown>;
}

/** Loads topics of one format. */
export const useFormat = (format: string) => {
  const folder = testFolder(`kafka-${format}`);
  const open = (config: Record<string, unknown> = {}) =>
    openConnector(kafka, { brokers: kafkaBrokers(), schema_registry_url: schemaRegistryUrl(), ...config }, testContext(folder));

  const optionsOf = (more: object) => kafka.sourceOptions?.parse({ format, ...more }) as Record<string, unknown>;

  const load = async (topic: string, { position = null, options = {}, config = {} }: Manner = {}) => {
    await using connector = await open(config);
    const request: Omit<StreamRequest, "bounds"> = {
      stream: topic,
      options: optionsOf(options),
      nullCursor: "fail",
      newRun: true,
      position,
      seen: () => Promise.resolve(new Set()),
    };
    const bounds = (await connector.source?.bounds?.(request)) ?? null;
    const batches: Batch[] = [];
    for await (const batch of connector.source?.read({ ...request, bounds }) ?? []) batches.push(batch);
    return {
      batches,
      rows: batches.flatMap(toRows),
      columns: batches.at(-1)?.schema.columns.map(({ name, type }) => `${name} ${typeName(type)}`),
      rejects: batches.flatMap((batch) => batch.rejects ?? []),
      position: batches.at(-1)?.position ?? null,
    };
  };
  return { open, optionsOf, load };
};
