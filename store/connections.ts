// Configured connections. Secrets go in sealed and come out only to workers.

import { asc, eq, gt, isNotNull, sql } from "drizzle-orm";
import type { ConnectionLimits } from "../core/circuit.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Database } from "./database.ts";
import { storeCall } from "./failure.ts";
import { connections } from "./schema.ts";
import type { SecretBox } from "./secret-box.ts";

export interface ConnectionRecord {
  readonly name: string;
  readonly kind: string;
  /** Plain secrets stand as `{ sealed: … }`, references as `{ env: … }` or `{ file: … }`. */
  readonly config: JsonObject;
  readonly limits: ConnectionLimits | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface SaveConnection {
  readonly name: string;
  readonly kind: string;
  readonly config: JsonObject;
  /** Top-level keys of the configuration that are secrets. */
  readonly secretKeys: readonly string[];
  /** Absent: none. */
  readonly limits?: ConnectionLimits;
  /** Leave one that exists already as it is; the answer then says `created: false`. */
  readonly onlyNew?: boolean;
}

export interface Connections {
  /** Creates or replaces; answers whether it is new. */
  save(input: SaveConnection): Promise<{ readonly created: boolean }>;
  find(name: string): Promise<ConnectionRecord | undefined>;
  /** With sealed secrets opened: for workers alone. */
  findOpened(name: string): Promise<{ readonly name: string; readonly kind: string; readonly config: JsonObject } | undefined>;
  list(page: { readonly limit: number; readonly after?: string }): Promise<readonly ConnectionRecord[]>;
  /** Names of those that have limits. */
  guarded(): Promise<ReadonlySet<string>>;
  /** Name → kind of all: what compile needs. */
  kinds(): Promise<Readonly<Record<string, string>>>;
  remove(name: string): Promise<boolean>;
}

/** How a stored configuration holds a secret; `json`: it is the text of an object with several. */
interface Sealed {
  readonly sealed: string;
  readonly json?: true;
}

export const isSealed = (value: unknown): value is Sealed =>
  typeof value === "object" && value !== null && "sealed" in value && typeof value.sealed === "string";

/** Whether there is anything to seal: references tell nothing. */
const holdsText = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return typeof value === "string";
  if (isSealed(value) || (Object.keys(value).length === 1 && ("env" in value || "file" in value))) return false;
  return Object.values(value).some(holdsText);
};

const sealedValue = (value: unknown, seal: (text: string) => string): JsonObject =>
  typeof value === "string" ? { sealed: seal(value) } : { sealed: seal(JSON.stringify(value)), json: true };

const openedValue = ({ sealed, json }: Sealed, open: (sealed: string) => string): Json =>
  json === true ? (JSON.parse(open(sealed)) as Json) : open(sealed);

export const createConnections = (db: Database, box: SecretBox): Connections => {
  const place = (name: string, key: string): string => `connection ${name}.${key}`;

  const find = (name: string): Promise<ConnectionRecord | undefined> =>
    storeCall(async () => (await db.select().from(connections).where(eq(connections.name, name)))[0]);

  return {
    save: ({ name, kind, config, secretKeys, limits = null, onlyNew = false }) =>
      storeCall(async () => {
        const entries = Object.entries(config).map(([key, value]): [string, Json] => [
          key,
          secretKeys.includes(key) && holdsText(value) ? sealedValue(value, (text) => box.seal(text, place(name, key))) : (value as Json),
        ]);
        const sealed: JsonObject = Object.fromEntries(entries);
        const [row] = await db
          .insert(connections)
          .values({ name, kind, config: sealed, limits })
          .onConflictDoUpdate({
            target: connections.name,
            set: { kind, config: sealed, limits, updatedAt: sql`now()` },
            setWhere: sql`not ${onlyNew}::boolean`,
          })
          // xmax is 0 on a row that was inserted rather than updated.
          .returning({ created: sql<boolean>`xmax = 0` });
        return { created: row?.created ?? false };
      }),

    find,

    async findOpened(name) {
      const record = await find(name);
      if (record === undefined) return undefined;
      const entries = Object.entries(record.config).map(([key, value]): [string, Json] => [
        key,
        isSealed(value) ? openedValue(value, (sealed) => box.open(sealed, place(name, key))) : (value as Json),
      ]);
      return { name, kind: record.kind, config: Object.fromEntries(entries) };
    },

    list: ({ limit, after }) =>
      storeCall(() =>
        db
          .select()
          .from(connections)
          .where(after === undefined ? undefined : gt(connections.name, after))
          .orderBy(asc(connections.name))
          .limit(limit),
      ),

    guarded: () =>
      storeCall(async () => {
        const rows = await db.select({ name: connections.name }).from(connections).where(isNotNull(connections.limits));
        return new Set(rows.map(({ name }) => name));
      }),

    kinds: () =>
      storeCall(async () => {
        const rows = await db.select({ name: connections.name, kind: connections.kind }).from(connections);
        return Object.fromEntries(rows.map(({ name, kind }) => [name, kind]));
      }),

    remove: (name) =>
      storeCall(
        async () => (await db.delete(connections).where(eq(connections.name, name)).returning({ name: connections.name })).length > 0,
      ),
  };
};
