// Connections to Temporal: one native for worker and client alike, and the search attributes that runs carry.

import { readFile } from "node:fs/promises";
import { Connection, isGrpcServiceError, ServiceError } from "@temporalio/client";
import { NativeConnection, type TLSConfig } from "@temporalio/worker";
import proto from "@temporalio/proto";
import { DownbeatError } from "../core/errors.ts";
import { SEARCH_ATTRIBUTES } from "../workflows/messages.ts";
import type { TemporalConfig } from "./config.ts";

const tlsOf = async ({ tls, tlsFiles, apiKey }: TemporalConfig): Promise<TLSConfig | boolean> => {
  const { ca, cert, key } = tlsFiles;
  if (ca === undefined && cert === undefined) return tls || apiKey !== undefined;
  return {
    ...(ca === undefined ? {} : { serverRootCACertificate: await readFile(ca) }),
    ...(cert === undefined || key === undefined ? {} : { clientCertPair: { crt: await readFile(cert), key: await readFile(key) } }),
  };
};

const connectWith = async <Made>(
  config: TemporalConfig,
  connect: (options: { address: string; tls: TLSConfig | boolean; apiKey?: string }) => Promise<Made>,
): Promise<Made> => {
  const { address, apiKey } = config;
  if (address === undefined) throw new DownbeatError("CONFIG_INVALID", "TEMPORAL_ADDRESS is not set: host:port of a Temporal server");
  try {
    return await connect({ address, tls: await tlsOf(config), ...(apiKey === undefined ? {} : { apiKey }) });
  } catch (error) {
    throw new DownbeatError(
      "TEMPORAL_UNAVAILABLE",
      `Temporal does not answer at ${address}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
};

export const connectNative = (config: TemporalConfig): Promise<NativeConnection> =>
  connectWith(config, (options) => NativeConnection.connect(options));

export const connectClient = (config: TemporalConfig): Promise<Connection> => connectWith(config, (options) => Connection.connect(options));

const { IndexedValueType } = proto.temporal.api.enums.v1;
const VALUE_TYPES = { KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD, INT: IndexedValueType.INDEXED_VALUE_TYPE_INT } as const;

/** A run that carries an unknown search attribute could not even start, so they are registered first. Safe to repeat. */
export const registerSearchAttributes = async (connection: Connection | NativeConnection, namespace: string): Promise<void> => {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in (customAttributes ?? {})));
    if (missing.length === 0) return;
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, VALUE_TYPES[type]])),
    });
  } catch (error) {
    const names = Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => `${name} (${type})`);
    const reason = error instanceof Error ? error.message : String(error);
    if (/already exists/i.test(reason)) return;
    throw new DownbeatError(
      "TEMPORAL_UNAVAILABLE",
      `the search attributes ${names.join(", ")} could not be registered in namespace ${namespace}: ${reason}; register them by hand`,
      { cause: error },
    );
  }
};

/** What the server says of a call that failed, without what the client puts around it. */
export const reasonOf = (error: unknown): string => {
  const cause = error instanceof ServiceError ? error.cause : error;
  if (isGrpcServiceError(cause) && cause.details !== "") return cause.details;
  return error instanceof Error ? error.message : String(error);
};
