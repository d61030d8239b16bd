// The Kafka client, and its errors as codes of the table.

import type { Consumer } from "@platformatic/kafka";
import { DownbeatError } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import type { KafkaConfig } from "./spec.ts";

const RETRIES = 3;
const RETRY_DELAY_MS = 500;
const REQUEST_TIMEOUT_MS = 15_000;

/** What every client of these brokers is made with. */
export const clientOptions = (config: KafkaConfig) => {
  const { sasl_mechanism: mechanism, user, password } = config;
  return {
    clientId: "downbeat",
    bootstrapBrokers: [...config.brokers],
    connectTimeout: config.connect_timeout_seconds * 1_000,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    ...(config.tls ? { tls: {} } : {}),
    ...(mechanism === undefined ? {} : { sasl: { mechanism, username: user ?? "", password: password ?? "" } }),
  };
};

/** A consumer that joins no group: it only asks and fetches. Read committed. */
export const createConsumer = async (config: KafkaConfig): Promise<Consumer> => {
  const { Consumer } = await import("@platformatic/kafka");
  return new Consumer({ ...clientOptions(config), groupId: "downbeat", isolationLevel: 1 });
};

/** Rejects as soon as the signal aborts: a broker that is silent must not hold up a cancellation. */
export const untilAborted = async <Value>(signal: AbortSignal, call: () => Promise<Value>): Promise<Value> => {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const called = call();
    called.catch(() => undefined);
    return await Promise.race([called, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
};

/** Every error below an error: the client nests them, and gathers several into one. */
const flatten = (error: unknown): readonly unknown[] => {
  const found: unknown[] = [error];
  for (const entry of found) {
    if (typeof entry !== "object" || entry === null) continue;
    const { cause, errors } = entry as { readonly cause?: unknown; readonly errors?: readonly unknown[] };
    if (cause !== undefined) found.push(cause);
    if (Array.isArray(errors)) found.push(...(errors as readonly unknown[]));
  }
  return found;
};

const textOf = (error: unknown): string => {
  const {
    code = "",
    apiId = "",
    message = "",
  } = (error ?? {}) as { readonly code?: string; readonly apiId?: string; readonly message?: string };
  return `${code} ${apiId} ${message}`;
};

/** Who asked: decides between the codes of sources and destinations. */
type Side = "source" | "destination";

const CODES = {
  source: { auth: "SOURCE_AUTH", missing: "SOURCE_STREAM_NOT_FOUND", unavailable: "SOURCE_UNAVAILABLE" },
  destination: { auth: "DESTINATION_AUTH", missing: "DESTINATION_TABLE_INVALID", unavailable: "DESTINATION_UNAVAILABLE" },
} as const;

/** Whether the error, or one below it, has this code or message. */
export const says = (error: unknown, pattern: RegExp): boolean => flatten(error).some((one) => pattern.test(textOf(one)));

export const kafkaError = (error: unknown, what: string, { signal }: Pick<ConnectorContext, "signal">, side: Side = "source"): unknown => {
  if (signal.aborted) return signal.reason;
  if (error instanceof DownbeatError) return error;
  const codes = CODES[side];
  const texts = flatten(error).map(textOf);
  const has = (pattern: RegExp): boolean => texts.some((text) => pattern.test(text));
  const message = `Kafka ${what}: ${
    texts
      .map((text) => text.trim())
      .filter((text) => text !== "")
      .slice(-1)[0] ?? "failed"
  }`;
  if (has(/AUTHENTICATION|SASL|AUTHORIZATION_FAILED/i))
    return new DownbeatError(codes.auth, `${message}; check user, password and mechanism`, { cause: error });
  if (has(/UNKNOWN_TOPIC_OR_PARTITION|INVALID_TOPIC|Unknown topic/i))
    return new DownbeatError(codes.missing, `Kafka ${what}: there is no such topic`, { cause: error });
  if (side === "destination" && has(/MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/))
    return new DownbeatError("DESTINATION_DATA_REFUSED", `${message}; raise max.message.bytes of the topic, or leave out long columns`, {
      cause: error,
    });
  return new DownbeatError(codes.unavailable, `${message}; check the brokers' addresses and that they run`, { cause: error });
};
