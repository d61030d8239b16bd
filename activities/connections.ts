// Opens connections by name for the verbs: looks up, resolves secret references, checks the configuration, opens the connector.

import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import type { Connector, ConnectorContext, ConnectorSpec, Role } from "../connectors/connector.ts";
import type { ProgramHost } from "../connectors/lib/programs/allowed-program.ts";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { withSpan } from "./span.ts";

export interface StoredConnection {
  readonly name: string;
  readonly kind: string;
  /** Secrets decrypted; references still `{ env }` or `{ file }`. */
  readonly config: JsonObject;
}

export interface ConnectionDeps {
  readonly findConnection: (name: string) => Promise<StoredConnection | undefined>;
  readonly findSpec: (kind: string) => ConnectorSpec | undefined;
  /** Turns `{ env: NAME }` or `{ file: PATH }` into its value; throws SECRET_UNRESOLVED. */
  readonly resolveSecret: (reference: JsonObject) => Promise<string>;
  /** Where temporary folders of openings go. */
  readonly tempRoot: string;
  readonly baseDir: string;
  /** Globs under `baseDir` that are Downbeat's own. */
  readonly reserved?: readonly string[];
  /** The programs that connectors may run. */
  readonly programs?: ProgramHost;
}

export interface OpenedConnection extends AsyncDisposable {
  readonly name: string;
  readonly spec: ConnectorSpec;
  readonly connector: Connector;
}

export type OpenConnection = (name: string, context: Pick<ConnectorContext, "signal" | "log" | "progress">) => Promise<OpenedConnection>;

export const isReference = (value: unknown): value is JsonObject =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length === 1 &&
  ("env" in value || "file" in value);

const resolveReferences = async (value: unknown, resolve: ConnectionDeps["resolveSecret"]): Promise<unknown> => {
  if (isReference(value)) return resolve(value);
  if (Array.isArray(value)) return Promise.all(value.map((entry) => resolveReferences(entry, resolve)));
  if (typeof value !== "object" || value === null) return value;
  const entries = await Promise.all(
    Object.entries(value).map(async ([key, entry]) => [key, await resolveReferences(entry, resolve)] as const),
  );
  return Object.fromEntries(entries);
};

export const createConnectionOpener = (deps: ConnectionDeps): OpenConnection => {
  return async (name, context) => {
    const stored = await deps.findConnection(name);
    if (stored === undefined) {
      throw new DownbeatError("CONNECTION_NOT_FOUND", `connection "${name}" does not exist; create it with PUT /v1/connections/${name}`);
    }
    const spec = deps.findSpec(stored.kind);
    if (spec === undefined) {
      throw new DownbeatError(
        "CONNECTOR_UNKNOWN",
        `connection "${name}" is of kind "${stored.kind}", which this worker does not know; is it named in this worker's downbeat.config.ts?`,
      );
    }
    const parsed = spec.config.safeParse(await resolveReferences(stored.config, deps.resolveSecret));
    if (!parsed.success) {
      const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "config"}: ${issue.message}`).join("; ");
      throw new DownbeatError("CONNECTION_INVALID", `connection "${name}" (${spec.kind}): ${faults}`);
    }
    const tempDir = await mkdtemp(path.join(deps.tempRoot, "downbeat-"));
    const removeTempDir = (): Promise<void> => rm(tempDir, { recursive: true, force: true });
    try {
      const connector = await withSpan(`open ${spec.kind}`, { "connector.kind": spec.kind, "connection.name": name }, () =>
        spec.open(parsed.data, {
          ...context,
          tempDir,
          baseDir: deps.baseDir,
          ...(deps.reserved === undefined ? {} : { reserved: deps.reserved }),
          ...(deps.programs === undefined ? {} : { programs: deps.programs }),
        }),
      );
      return {
        name,
        spec,
        connector,
        async [Symbol.asyncDispose]() {
          try {
            await connector[Symbol.asyncDispose]();
          } finally {
            await removeTempDir();
          }
        },
      };
    } catch (error) {
      await removeTempDir();
      throw error;
    }
  };
};

const ROLE_FIELD = {
  source: "source",
  destination: "destination",
  sql: "sql",
  publish: "publisher",
  http: "http",
  files: "files",
  events: "events",
} as const;
type RoleField = typeof ROLE_FIELD;

/** The interface that a connection offers for a role, or ROLE_UNSUPPORTED naming what it can do. */
export const roleOf = <R extends Role>(opened: OpenedConnection, role: R): NonNullable<Connector[RoleField[R]]> => {
  const implementation = opened.connector[ROLE_FIELD[role]];
  if (implementation === undefined) {
    throw new DownbeatError(
      "ROLE_UNSUPPORTED",
      `connection "${opened.name}" (${opened.spec.kind}) cannot be used as ${role}; it can be: ${opened.spec.roles.join(", ")}`,
    );
  }
  return implementation as NonNullable<Connector[RoleField[R]]>;
};
