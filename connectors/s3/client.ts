// The S3 client, and its errors as codes of the table.

import type * as Sdk from "@aws-sdk/client-s3";
import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import { retryAfterMs } from "../lib/retry-after.ts";
import type { S3Config } from "./spec.ts";

/** What everything that speaks to one bucket is given. */
export interface S3Host {
  readonly client: Sdk.S3Client;
  readonly sdk: typeof Sdk;
  readonly config: S3Config;
  readonly context: ConnectorContext;
}

export const createS3Client = async (config: S3Config): Promise<Sdk.S3Client> => {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = config;
  return new S3Client({
    region: config.region,
    forcePathStyle: config.path_style,
    maxAttempts: 3,
    // Long answers are fine, silent ones are not.
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 30_000 },
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
  });
};

export type S3Side = "source" | "destination";

const AUTH = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "AccessDenied",
  "ExpiredToken",
  "InvalidToken",
  "CredentialsProviderError",
]);
const MISSING = new Set(["NoSuchBucket", "NotFound"]);

interface AwsError {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  /** The answer itself. */
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

const codeOf = ({ name = "", $metadata }: AwsError, side: S3Side): ErrorCode => {
  const status = $metadata?.httpStatusCode;
  if (AUTH.has(name) || status === 401 || status === 403) return side === "source" ? "SOURCE_AUTH" : "DESTINATION_AUTH";
  if (MISSING.has(name) || status === 404) return side === "source" ? "SOURCE_STREAM_NOT_FOUND" : "DESTINATION_TABLE_INVALID";
  if (name === "PreconditionFailed" || status === 412 || status === 409) return side === "source" ? "SOURCE_CHANGED" : "LOAD_FENCED";
  if (status === 507) return "DESTINATION_FULL";
  if (status !== undefined && status >= 400 && status < 500 && status !== 429)
    return side === "source" ? "SOURCE_QUERY_FAILED" : "DESTINATION_DATA_REFUSED";
  return side === "source" ? "SOURCE_UNAVAILABLE" : "DESTINATION_UNAVAILABLE";
};

export const isMissing = (error: unknown): boolean =>
  ["NoSuchKey", "NotFound"].includes((error as AwsError).name ?? "") || (error as AwsError).$metadata?.httpStatusCode === 404;

/** The error as one of the table; an abort's own reason goes first. */
export const s3Failure = (what: string, side: S3Side, { signal }: Pick<ConnectorContext, "signal">, error: unknown): Error => {
  if (signal.aborted) return signal.reason as Error;
  if (error instanceof DownbeatError) return error;
  const { name = "", message = "", code, $response } = error as AwsError;
  if (code === "ENOSPC") {
    return new DownbeatError("DESTINATION_FULL", `the disk of the temporary folder is full (during S3 ${what})`, { cause: error });
  }
  const said = `S3 ${what}: ${name}${message === "" || message === name ? "" : `: ${message}`}`;
  const later = retryAfterMs($response?.headers?.["retry-after"]);
  return new DownbeatError(codeOf(error as AwsError, side), said, {
    cause: error,
    ...(later === undefined ? {} : { retryAfterMs: later }),
  });
};

export const s3Call = async <Value>(
  what: string,
  side: S3Side,
  context: Pick<ConnectorContext, "signal">,
  call: () => Promise<Value>,
): Promise<Value> => {
  try {
    return await call();
  } catch (error) {
    throw s3Failure(what, side, context, error);
  }
};
