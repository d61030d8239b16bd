// Apache Kafka: topics as streams that go on by themselves; offsets are committed with the data, in the destination.

import { z } from "zod";
import { declaredColumns } from "../lib/column-types.ts";
import { secret } from "../lib/config.ts";
import { defineConnector } from "../lib/define.ts";
import { afterScheme, decoded } from "../lib/urls.ts";

export const kafkaConfig = z.strictObject({
  brokers: z
    .array(z.string().regex(/^[^\s:]+:\d+$|^\[[^\]]+\]:\d+$/, "is not host:port"))
    .min(1)
    .describe("host:port of one or more brokers"),
  tls: z.boolean().default(false),
  sasl_mechanism: z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]).optional(),
  user: z.string().optional(),
  password: secret("Password for SASL").optional(),
  connect_timeout_seconds: z.number().positive().max(300).default(10),
  schema_registry_url: z
    .url({ protocol: /^https?$/ })
    .refine(
      (text) => !/[@?#]/.test(text),
      "takes no login and no query; schema_registry_user and schema_registry_password have their own keys",
    )
    .optional()
    .describe("A schema registry with Confluent's API, for messages in Avro and Protobuf; such as https://registry:8081"),
  schema_registry_user: z.string().optional().describe("For basic authentication at the schema registry"),
  schema_registry_password: secret("For basic authentication at the schema registry").optional(),
});

export type KafkaConfig = z.output<typeof kafkaConfig>;

/** Formats whose messages name a schema of a registry. */
const SCHEMA_FORMATS = ["avro", "protobuf"] as const;
export type SchemaFormat = (typeof SCHEMA_FORMATS)[number];

export const isSchemaFormat = (format: string): format is SchemaFormat => (SCHEMA_FORMATS as readonly string[]).includes(format);

export const kafkaSourceOptions = z.strictObject({
  format: z
    .enum(["json", "text", "binary", ...SCHEMA_FORMATS])
    .default("json")
    .describe(
      "json: each value is an object whose keys become columns; text and binary: one column `value`; avro and protobuf: each value is of a schema of the connection's schema registry, whose fields become columns",
    ),
  columns: declaredColumns("int64, decimal(12,2), timestamptz")
    .optional()
    .describe("Names and types of the JSON's keys or the schemas' fields; default: inferred, or those of the schemas"),
  metadata: z.boolean().default(true).describe("Adds _kafka_partition, _kafka_offset, _kafka_timestamp and _kafka_key"),
  headers: z
    .boolean()
    .default(false)
    .describe("Adds _kafka_headers, a JSON object: a name's text, or a list of texts where it comes more than once"),
  from: z.enum(["earliest", "latest"]).default("earliest").describe("Where a first run begins"),
  on_lost_offsets: z.enum(["fail", "earliest"]).default("fail").describe("When retention has deleted messages that were not read yet"),
});

export type KafkaSourceOptions = z.output<typeof kafkaSourceOptions>;

export const kafkaTargetOptions = z.strictObject({
  partitions: z.int().min(1).max(10_000).optional().describe("Of a topic that has to be made; default: as the brokers are set"),
  compression: z.enum(["none", "gzip", "snappy", "lz4", "zstd"]).default("none").describe("Of the messages, on their way and in the topic"),
});

export type KafkaTargetOptions = z.output<typeof kafkaTargetOptions>;
export type Compression = KafkaTargetOptions["compression"];

export const kafkaEventOptions = z.strictObject({
  format: z
    .enum(["json", "text"])
    .default("json")
    .describe("json: event.data.value is the message's JSON; text: its text. Messages that are not so start no run"),
  from: z
    .enum(["earliest", "latest"])
    .default("latest")
    .describe("Where the first look begins: at the oldest message, or with those to come"),
  on_lost_offsets: kafkaSourceOptions.shape.on_lost_offsets,
});

export type KafkaEventOptions = z.output<typeof kafkaEventOptions>;

export const kafka = defineConnector({
  kind: "kafka",
  title: "Apache Kafka",
  description:
    "Topics of JSON, Avro, Protobuf, text or binary messages: read from the last committed offsets to the end as it was when the load began, and written to in transactions",
  roles: ["source", "destination", "events"],
  config: kafkaConfig,
  sourceOptions: kafkaSourceOptions,
  targetOptions: kafkaTargetOptions,
  eventOptions: kafkaEventOptions,
  capabilities: { incremental: "always", resumable: true, modes: ["append", "merge"], transactional: true },
  url: {
    schemes: ["kafka"],
    example: "kafka://broker:9092/topic",
    read: (text, { role }) => {
      const [, login, hosts = "", topic = ""] = /^(?:(.*)@)?([^/]*)\/?(.*)$/s.exec(afterScheme(text)) ?? [];
      if (role === "destination" && topic !== "") return `it names the topic ${topic}, which --into names; write kafka://${hosts}`;
      const [user, password] = (login?.split(/:(.*)/s) ?? []).map(decoded);
      return {
        config: { brokers: hosts.split(","), ...(user ? { user } : {}), ...(password ? { password } : {}) },
        ...(topic === "" ? {} : { stream: topic }),
        place: `kafka://${hosts}`,
      };
    },
    tableOf: (topic) => topic.replaceAll(/\W+/g, "_"),
  },
  notes: `
A stream is a topic. A load reads every partition from the offsets committed in the destination (with the rows, in one transaction) up to the end offsets at its beginning; no consumer group is used.
Only committed transactions are read. With \`format: json\` a message that is no JSON object in UTF-8 is a reject, with partition and offset; a key that is not UTF-8 comes as base64. A message without a value (a tombstone) is a row whose columns are NULL but for the metadata. JSON that was written with a schema registry is read without the registry's header; its schema is not asked for.

\`format: avro\` and \`format: protobuf\` read messages in Confluent's wire format (a zero byte, four bytes of a schema id, for Protobuf which message of the file it is, the value) with the schemas under \`schema_registry_url\`, those that they refer to among them. Registries with that API: Confluent's, Apicurio (\`/apis/ccompat/v7\`), Karapace, Redpanda; proven against Apicurio Registry 3.0.9.

| Avro | column |
|---|---|
| boolean, int, long, float, double | bool, int32, int64, float32, float64 |
| string, enum | string |
| bytes, fixed | binary |
| decimal, uuid, date | decimal(p,s), uuid, date |
| time-millis, time-micros | time |
| timestamp-millis, -micros, -nanos | timestamptz. Nanoseconds that are not whole microseconds are a reject; declare the column int64 (as written) or string |
| local-timestamp-millis, -micros, -nanos | timestamp, likewise |
| record, array, map, unions of several types | json: moments by ISO 8601, decimals as text, bytes in base64, a value of a union as \`{ "string": "x" }\`, with the name of its type |
| null with one other type | that type |

| Protobuf (proto2, proto3, editions) | column |
|---|---|
| bool, float, double, string, bytes | bool, float32, float64, string, binary |
| int32, sint32, sfixed32 | int32 |
| int64, sint64, sfixed64, uint32, fixed32 | int64 |
| uint64, fixed64 | uint64 |
| enum | string: the name, or the number where the schema has none for it |
| google.protobuf.Timestamp | timestamptz. Nanoseconds that are not whole microseconds are a reject; declare the column string |
| google.protobuf.Duration | string, as Protobuf's JSON has it: \`"1.5s"\` |
| google.protobuf.Int64Value and the other wrappers | the type within |
| confluent.type.Decimal | string, since each value has its own scale; declare the column decimal(p,s) |
| repeated, map, other messages, Struct, Value, ListValue | json, with the names of the fields as the schema has them |

A field that is missing is NULL where Protobuf can tell (\`optional\`, \`oneof\`, messages, proto2), and its type's zero where it cannot. Fields that the schema does not have are passed over. A schema that imports a file which is neither among its references nor one of Google's or Confluent's own is one that cannot be read.

Columns come from the schemas with which the messages were written; those of several schemas are joined, and widened where types differ (text where nothing else holds both). A schema that is no record is one column \`value\`.
A message without that beginning, of an id that the registry does not know, of a schema of another format, or whose bytes do not fit its schema is a reject; a registry that does not answer or refuses fails the attempt. Dead letters of such messages hold the metadata and the message in base64. Keys are not decoded. Triggers read JSON and text only.
When retention has deleted messages that were never read, or the topic was made anew, the load fails, unless \`on_lost_offsets: earliest\` says that this may be.

As a destination \`table\` is a topic, and each row a message: the row as a JSON object (integers beyond 2^53 and decimals as text, times in ISO 8601, binary in base64), under a key where \`to.key\` names columns: of one column its
text, of several a JSON object. \`merge\` makes a compacted topic, in which the last message of a key is the row, and sends a message without a value for a row that is gone; a topic that is there already stays as it is. Keys choose
partitions as they do in Kafka's Java clients. Rows of one chunk, with its dead letters (topic \`_downbeat.dead_letters\`) and how far the load is (\`_downbeat.loads\`, compacted), are one transaction: consumers with \`isolation.level=read_committed\` see each row once,
whatever dies; others also see rows of attempts that were undone. A load has a transactional id of its own, so an attempt that is taken over can commit nothing more. A chunk may take up to 15 minutes (\`transaction.max.timeout.ms\`).
The user needs the right to write to those topics and to the transactional ids \`downbeat-*\`, and to make topics that are missing.
`.trim(),
  open: async (config, context) => (await import("./connector.ts")).openKafka(config, context),
});
