// A broker that vanishes half-way: the load ends with a clear, retryable error within bounded time, and goes on when it is back.

import { Producer, stringSerializers, Admin } from "@platformatic/kafka";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { startKafka } from "../../bin/services/kafka.ts";
import type { StreamRequest } from "../../connectors/connector.ts";
import { kafka } from "../../connectors/kafka/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { ERRORS } from "../../core/errors.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";

const folder = testFolder("kafka-faults");
const COUNT = 60_000;

it("a broker that vanishes half-way is SOURCE_UNAVAILABLE, and nothing is lost or doubled when it is back", {
  timeout: 240_000,
}, async () => {
  const dir = path.join(folder, "kafka");
  mkdirSync(dir, { recursive: true });
  const broker = await startKafka({ dir, say: () => undefined, env: { ...process.env, DOWNBEAT_TEST_KAFKA: "" } });
  try {
    const brokers = [...broker.address.brokers];
    const admin = new Admin({ clientId: "test", bootstrapBrokers: brokers });
    await admin.createTopics({ topics: ["orders"], partitions: 1, replicas: 1 });
    await admin.close();
    const producer = new Producer({ clientId: "test", bootstrapBrokers: brokers, serializers: stringSerializers, idempotent: true });
    for (let from = 0; from < COUNT; from += 1_000) {
      await producer.send({
        messages: Array.from({ length: 1_000 }, (_, index) => ({
          topic: "orders",
          value: JSON.stringify({ id: from + index, filler: "x".repeat(400) }),
        })),
      });
    }
    await producer.close();

    const options = kafka.sourceOptions?.parse({ metadata: false }) as Readonly<Record<string, unknown>>;
    const request: Omit<StreamRequest, "bounds"> = {
      stream: "orders",
      options,
      nullCursor: "fail",
      newRun: true,
      position: null,
      seen: () => Promise.resolve(new Set()),
    };
    const read = async (from: StreamRequest["position"], patience: number, afterFirst: () => Promise<void>) => {
      await using connector = await openConnector(kafka, { brokers, connect_timeout_seconds: patience }, testContext(folder));
      const ids: number[] = [];
      let position = from;
      let error: unknown;
      try {
        for await (const batch of connector.source?.read({ ...request, position: from, bounds: { 0: String(COUNT) } }) ?? []) {
          ids.push(...toRows(batch).map((row) => Number(row["id"])));
          if (position === from) await afterFirst();
          position = batch.position;
        }
      } catch (caught) {
        error = caught;
      }
      return { ids, position, error };
    };

    const first = await read(null, 2, () => broker.halt("SIGKILL"));
    expect(first.error).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    expect(ERRORS.SOURCE_UNAVAILABLE.retry).toBe(true);
    expect(first.ids.length).toBeLessThan(COUNT);
    await broker.resume();
    // One that has just come back on a busy machine is slow.
    const second = await read(first.position, 60, () => Promise.resolve());
    expect(second.error).toBeUndefined();
    expect([...first.ids, ...second.ids]).toEqual(Array.from({ length: COUNT }, (_, id) => id));
  } finally {
    await broker.stop();
  }
});
