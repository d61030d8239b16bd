// Topics that a load writes to: their names, and making those that are missing.

import { setTimeout as pause } from "node:timers/promises";
import type { Admin } from "@platformatic/kafka";
import { DownbeatError } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import { clientOptions, kafkaError, says, untilAborted } from "./client.ts";
import type { KafkaConfig } from "./spec.ts";

export interface WantedTopic {
  readonly name: string;
  /** Undefined: as many as the brokers give. */
  readonly partitions?: number | undefined;
  /** Keeps the last message of each key. */
  readonly isCompacted: boolean;
}

/** Brokers decide. */
const DEFAULT = -1;
/** Leaders are told of a moment after a topic was made. */
const LEADERS_EVERY_MS = 100;
const MOST_LOOKS = 300;

/** https://kafka.apache.org/documentation/#topicconfigs: Topic.validate */
export const requireTopicName = (name: string): void => {
  if (/^[\w.-]{1,249}$/.test(name) && name !== "." && name !== "..") return;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `${JSON.stringify(name)} cannot be a topic: names have 1 to 249 letters of a to z, A to Z, digits, ".", "_" and "-"`,
  );
};

const hasLeaders = async (admin: Admin, name: string): Promise<boolean> => {
  const { topics } = await admin.metadata({ topics: [name], forceUpdate: true, autocreateTopics: false });
  const partitions = topics.get(name)?.partitions ?? [];
  return partitions.length > 0 && partitions.every(({ leader }) => leader >= 0);
};

const isThere = (admin: Admin, name: string): Promise<boolean> =>
  hasLeaders(admin, name).catch((error: unknown) => {
    if (says(error, /UNKNOWN_TOPIC|Unknown topic|LEADER_NOT_AVAILABLE/)) return false;
    throw error;
  });

interface OpenAdmin extends AsyncDisposable {
  readonly client: Admin;
  readonly ask: <Value>(call: () => Promise<Value>) => Promise<Value>;
}

const openAdmin = async (config: KafkaConfig, what: string, context: ConnectorContext): Promise<OpenAdmin> => {
  const { Admin: KafkaAdmin } = await import("@platformatic/kafka");
  const client = new KafkaAdmin(clientOptions(config));
  return {
    client,
    ask: async (call) => {
      try {
        return await untilAborted(context.signal, call);
      } catch (error) {
        throw kafkaError(error, what, context, "destination");
      }
    },
    [Symbol.asyncDispose]: () => client.close().catch(() => undefined),
  };
};

export const isTopic = async (config: KafkaConfig, name: string, context: ConnectorContext): Promise<boolean> => {
  await using admin = await openAdmin(config, `topic ${name}`, context);
  return await admin.ask(() => isThere(admin.client, name));
};

/** Looks first: who may not make topics may write to those that others have made. */
export const ensureTopic = async (config: KafkaConfig, wanted: WantedTopic, context: ConnectorContext): Promise<void> => {
  const { name, partitions = DEFAULT, isCompacted } = wanted;
  await using admin = await openAdmin(config, `topic ${name}`, context);
  const { client, ask } = admin;
  if (await ask(() => isThere(client, name))) return;
  const configs = isCompacted ? [{ name: "cleanup.policy", value: "compact" }] : [];
  await ask(() => client.createTopics({ topics: [name], partitions, replicas: DEFAULT, configs })).catch((error: unknown) => {
    // Two loads may make it at once.
    if (!says(error, /TOPIC_ALREADY_EXISTS/)) throw error;
  });
  for (let look = 1; !(await ask(() => isThere(client, name))); look += 1) {
    if (look === MOST_LOOKS)
      throw new DownbeatError("DESTINATION_UNAVAILABLE", `Kafka topic ${name} was made and has no leader yet; try again`);
    context.progress();
    await pause(LEADERS_EVERY_MS, undefined, { signal: context.signal });
  }
};
