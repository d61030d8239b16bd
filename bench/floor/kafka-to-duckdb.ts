// The floor of bench:transfer from Kafka into DuckDB. Usage: kafka-to-duckdb.ts SOURCE_JSON DATABASE_FILE FOLDER; prints one JSON line.

import { closeSync, openSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { Consumer } from "@platformatic/kafka";
import { printMeasured } from "./measured.ts";
import { ORDERS_COLUMNS, ORDERS_DEFINITION } from "./orders-table.ts";

const { brokers, topic } = JSON.parse(process.argv[2] ?? "") as { readonly brokers: readonly string[]; readonly topic: string };
const [databaseFile = "", folder = ""] = process.argv.slice(3);

const CHUNK_MESSAGES = 100_000;
const WRITE_BYTES = 1 << 20;
const MAX_BYTES = 16 * 1024 * 1024;
const PARTITION_BYTES = 4 * 1024 * 1024;
const LATEST = -1n;

/** The values of a topic, as the brokers give them. */
async function* fetchValues(consumer: Consumer): AsyncGenerator<readonly Buffer[]> {
  const ends = (await consumer.listOffsets({ topics: [topic], timestamp: LATEST })).get(topic) ?? [];
  const described = (await consumer.metadata({ topics: [topic] })).topics.get(topic);
  if (described === undefined) throw new Error(`there is no topic ${topic}`);
  consumer.topics.track(topic);
  const nexts = ends.map(() => 0n);
  const ask = () => {
    const open = [...ends.keys()].filter((partition) => (nexts[partition] ?? 0n) < (ends[partition] ?? 0n));
    if (open.length === 0) return undefined;
    return consumer.fetch({
      node: described.partitions[0]?.leader ?? -1,
      topics: [
        {
          topicId: described.id,
          partitions: open.map((partition) => ({
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: nexts[partition] ?? 0n,
            lastFetchedEpoch: -1,
            partitionMaxBytes: PARTITION_BYTES,
          })),
        },
      ],
      minBytes: 1,
      maxBytes: MAX_BYTES,
      maxWaitTime: 500,
      isolationLevel: 0,
    });
  };
  for (let asked = ask(); asked !== undefined; asked = ask()) {
    const values: Buffer[] = [];
    for (const { partitionIndex, records } of (await asked).responses.flatMap(({ partitions }) => partitions)) {
      for (const batch of records ?? []) {
        for (const record of batch.records as readonly { readonly offsetDelta: number; readonly value: Buffer | null }[]) {
          const offset = batch.firstOffset + BigInt(record.offsetDelta);
          if (offset < (nexts[partitionIndex] ?? 0n)) continue;
          if (record.value !== null) values.push(record.value);
          nexts[partitionIndex] = offset + 1n;
        }
      }
    }
    yield values;
  }
}

await printMeasured(async () => {
  const instance = await DuckDBInstance.create(databaseFile, { threads: "2" });
  const warehouse = await instance.connect();
  await warehouse.run("set preserve_insertion_order = false");
  await warehouse.run(`create table orders ${ORDERS_DEFINITION}`);
  const consumer = new Consumer({ clientId: "downbeat-floor", groupId: "downbeat-floor", bootstrapBrokers: [...brokers] });
  const lineFeed = Buffer.from("\n");
  let [rows, files, messages] = [0, 0, 0];
  let loading = Promise.resolve();
  let file = "";
  let descriptor: number | undefined;
  let parts: Buffer[] = [];
  let bytes = 0;
  const write = (): void => {
    if (descriptor !== undefined) writeSync(descriptor, Buffer.concat(parts));
    parts = [];
    bytes = 0;
  };
  const load = (): void => {
    write();
    if (descriptor === undefined) return;
    closeSync(descriptor);
    descriptor = undefined;
    const [full, before] = [file, loading];
    loading = (async () => {
      await before;
      rows += (
        await warehouse.run(
          `insert into orders select * from read_json('${full}', format = 'newline_delimited', columns = ${ORDERS_COLUMNS})`,
        )
      ).rowsChanged;
      await rm(full);
    })();
  };
  for await (const values of fetchValues(consumer)) {
    for (const value of values) {
      if (descriptor === undefined) {
        file = path.join(folder, `floor-${(files += 1)}.jsonl`);
        descriptor = openSync(file, "w");
        messages = 0;
      }
      parts.push(value, lineFeed);
      bytes += value.length + 1;
      messages += 1;
      if (bytes >= WRITE_BYTES) write();
      if (messages >= CHUNK_MESSAGES) load();
    }
  }
  load();
  await loading;
  await warehouse.run("checkpoint");
  warehouse.closeSync();
  instance.closeSync();
  await consumer.close(true);
  return rows;
});
