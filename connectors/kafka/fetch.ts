// Fetches partitions side by side up to their ends, without a consumer group; aborted transactions and markers are left out.

import { setTimeout as pause } from "node:timers/promises";
import type { Consumer, KafkaRecord, RecordsBatch } from "@platformatic/kafka";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { ConnectorContext } from "../connector.ts";
import { untilAborted } from "./client.ts";

export interface PartitionRange {
  readonly partition: number;
  /** The next offset to read; moves on as messages are handed over. */
  next: bigint;
  /** The first offset that is not read any more. */
  readonly end: bigint;
}

export interface KafkaMessage {
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: KafkaRecord["headers"];
}

/** Partition → next offset. */
export const positionOf = (ranges: readonly PartitionRange[]): Json =>
  Object.fromEntries(ranges.map(({ partition, next }) => [String(partition), next.toString()]));

const MAX_WAIT_MS = 500;
const MAX_BYTES = 16 * 1024 * 1024;
const PARTITION_BYTES = 4 * 1024 * 1024;
/** A broker that answers but gives nothing below the end offset for so long has lost it. */
const STALL_MS = 60_000;
const HAS_APPEND_TIME = 0b1000;
const IS_TRANSACTIONAL = 0b1_0000;
const IS_CONTROL = 0b10_0000;

interface Aborted {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** Messages of the batches, in offset order; moves the range on over what is skipped too. */
const takeBatches = (range: PartitionRange, batches: readonly RecordsBatch[], aborted: readonly Aborted[]): readonly KafkaMessage[] => {
  const messages: KafkaMessage[] = [];
  const pending = aborted.toSorted((left, right) => (left.firstOffset < right.firstOffset ? -1 : 1));
  const abortedNow = new Set<bigint>();
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    while (pending[0] !== undefined && pending[0].firstOffset <= last) abortedNow.add(pending.shift()?.producerId ?? -1n);
    if ((batch.attributes & IS_CONTROL) !== 0) abortedNow.delete(batch.producerId);
    else if ((batch.attributes & IS_TRANSACTIONAL) === 0 || !abortedNow.has(batch.producerId)) takeRecords(range, batch, messages);
    if (last + 1n > range.next) range.next = last + 1n;
    if (range.next >= range.end) {
      range.next = range.end;
      break;
    }
  }
  return messages;
};

const takeRecords = (range: PartitionRange, batch: RecordsBatch, messages: KafkaMessage[]): void => {
  for (const record of batch.records as readonly KafkaRecord[]) {
    const offset = batch.firstOffset + BigInt(record.offsetDelta);
    // A batch may begin before the offset that was asked for, and end behind the load's end.
    if (offset < range.next || offset >= range.end) continue;
    messages.push({
      partition: range.partition,
      offset,
      timestampMs: (batch.attributes & HAS_APPEND_TIME) === 0 ? batch.firstTimestamp + record.timestampDelta : batch.maxTimestamp,
      key: record.key,
      value: record.value,
      headers: record.headers,
    });
  }
};

/** Yields the messages of each answer; `ranges` then say what has been handed over. */
export async function* readPartitions(
  consumer: Consumer,
  topic: string,
  ranges: readonly PartitionRange[],
  { signal, progress }: ConnectorContext,
): AsyncGenerator<readonly KafkaMessage[]> {
  consumer.topics.track(topic);
  let movedAt = performance.now();
  for (;;) {
    const open = ranges.filter(({ next, end }) => next < end);
    if (open.length === 0) return;
    signal.throwIfAborted();
    const metadata = await untilAborted(signal, () => consumer.metadata({ topics: [topic], autocreateTopics: false }));
    const described = metadata.topics.get(topic);
    if (described === undefined) throw new DownbeatError("SOURCE_STREAM_NOT_FOUND", `Kafka has no topic "${topic}" any more`);
    const byLeader = Map.groupBy(open, ({ partition }) => described.partitions[partition]?.leader ?? -1);
    let moved = false;
    for (const [node, group] of byLeader) {
      const answer = await untilAborted(signal, () =>
        consumer.fetch({
          node,
          topics: [
            {
              topicId: described.id,
              partitions: group.map(({ partition, next }) => ({
                partition,
                currentLeaderEpoch: -1,
                fetchOffset: next,
                lastFetchedEpoch: -1,
                partitionMaxBytes: PARTITION_BYTES,
              })),
            },
          ],
          minBytes: 1,
          maxBytes: MAX_BYTES,
          maxWaitTime: MAX_WAIT_MS,
          isolationLevel: 1,
        }),
      );
      progress();
      for (const partition of answer.responses.flatMap((response) => response.partitions)) {
        const range = group.find((candidate) => candidate.partition === partition.partitionIndex);
        if (range === undefined) continue;
        const before = range.next;
        const messages = takeBatches(range, partition.records ?? [], partition.abortedTransactions ?? []);
        moved ||= range.next > before;
        yield messages;
      }
    }
    if (moved) movedAt = performance.now();
    else if (performance.now() - movedAt > STALL_MS) {
      throw new DownbeatError(
        "SOURCE_UNAVAILABLE",
        `topic ${topic}: the broker has given no message for ${STALL_MS / 1_000} s although its end is not reached`,
      );
    } else await pause(50, undefined, { signal });
  }
}
