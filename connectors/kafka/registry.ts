// A schema registry with Confluent's API: schemas by their ids, with those that they refer to.

import { DownbeatError } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import { HttpClient, type HttpAnswer } from "../http/client.ts";
import { httpConfig } from "../http/spec.ts";
import type { KafkaConfig } from "./spec.ts";

export interface RegisteredSchema {
  /** AVRO, PROTOBUF, JSON. */
  readonly type: string;
  readonly text: string;
  /** Schemas that it refers to, each behind those that it refers to itself. */
  readonly references: readonly { readonly name: string; readonly text: string }[];
}

export interface SchemaRegistry {
  check(): Promise<void>;
  /** Undefined: the registry knows no such id, or no longer all that the schema refers to. Throws when it cannot be asked. */
  schema(id: number): Promise<RegisteredSchema | undefined>;
}

interface Answer {
  readonly schema: string;
  readonly schemaType?: string;
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[] | null;
}

type References = Map<string, { readonly name: string; readonly text: string }>;

const TIMEOUT_SECONDS = 15;
/** "Subject not found", "version not found", "schema not found": any other 404 is not the registry's. */
const UNKNOWN = new Set([40_401, 40_402, 40_403]);

export const createRegistry = (config: KafkaConfig, context: ConnectorContext): SchemaRegistry | undefined => {
  const { schema_registry_url: url, schema_registry_user: user, schema_registry_password: password } = config;
  if (url === undefined) return undefined;
  const login = user === undefined ? {} : { auth: "basic", user, password: password ?? "" };
  const client = new HttpClient(httpConfig.parse({ base_url: url, timeout_seconds: TIMEOUT_SECONDS, ...login }), context);
  const noRegistry = (why: string): DownbeatError =>
    new DownbeatError("CONNECTION_INVALID", `schema_registry_url: ${url} ${why}; give the address under which /schemas/ids is`);

  const ask = async (path: string): Promise<HttpAnswer> => {
    const headers = { accept: "application/vnd.schemaregistry.v1+json, application/json" };
    try {
      return await client.send({ method: "GET", url: client.url(path), headers }, "source", [404]);
    } catch (error) {
      if (!(error instanceof DownbeatError)) throw error;
      const { code, message, details, retryAfterMs } = error;
      throw new DownbeatError(code, `the schema registry: ${message}; check schema_registry_url, its user and password, and that it runs`, {
        cause: error,
        ...(details === undefined ? {} : { details }),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
  };

  const schemaAt = async (path: string): Promise<Answer | undefined> => {
    const { status, body } = await ask(path);
    const answer = (typeof body === "object" && body !== null ? body : {}) as Partial<Answer> & { readonly error_code?: unknown };
    if (status === 404) {
      if (typeof answer.error_code === "number" && UNKNOWN.has(answer.error_code)) return undefined;
      throw noRegistry("is no schema registry (404)");
    }
    if (typeof answer.schema !== "string") throw noRegistry("does not answer as a schema registry does");
    return answer as Answer;
  };

  /** False: one of them is unknown. */
  const collect = async ({ references }: Answer, found: References): Promise<boolean> => {
    for (const { name, subject, version } of references ?? []) {
      const path = `subjects/${encodeURIComponent(subject)}/versions/${version}`;
      if (found.has(path)) continue;
      const answer = await schemaAt(path);
      if (answer === undefined || !(await collect(answer, found))) return false;
      found.set(path, { name, text: answer.schema });
    }
    return true;
  };

  return {
    async check() {
      const { status } = await ask("schemas/types");
      if (status === 404) throw noRegistry("is no schema registry (404)");
    },

    async schema(id) {
      const answer = await schemaAt(`schemas/ids/${id}`);
      const references: References = new Map();
      if (answer === undefined || !(await collect(answer, references))) return undefined;
      return { type: answer.schemaType ?? "AVRO", text: answer.schema, references: [...references.values()] };
    },
  };
};
