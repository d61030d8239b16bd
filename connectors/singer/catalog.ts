// Singer catalogs: what a tap has, and the same with one stream selected.

import { DownbeatError } from "../../core/errors.ts";
import type { Column } from "../batch.ts";
import type { StreamInfo } from "../connector.ts";
import { parseObject } from "../lib/json-text.ts";
import { columnsOf, type JsonSchema } from "../lib/taps/json-schema.ts";
import { streamNotFound } from "../lib/taps/requests.ts";

interface Metadata {
  readonly breadcrumb: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface SingerStream {
  readonly tap_stream_id: string;
  readonly stream?: string;
  readonly schema: JsonSchema;
  readonly key_properties?: readonly string[] | null;
  readonly replication_key?: string | null;
  readonly metadata?: readonly Metadata[];
}

export interface SingerCatalog {
  readonly streams: readonly SingerStream[];
}

/** Text may come before the catalog. Throws SOURCE_DATA_INVALID. */
export const parseCatalog = (text: string): SingerCatalog => {
  const found = parseObject(text.slice(Math.max(text.indexOf("{"), 0)));
  if (typeof found !== "string" && Array.isArray(found["streams"])) return found as unknown as SingerCatalog;
  const why = typeof found === "string" ? found : "has no streams";
  throw new DownbeatError(
    "SOURCE_DATA_INVALID",
    `what the tap answers to --discover is no Singer catalog: it ${why}; it begins with ${JSON.stringify(text.slice(0, 100))}`,
  );
};

const factsOf = (stream: SingerStream): Readonly<Record<string, unknown>> =>
  stream.metadata?.find(({ breadcrumb }) => breadcrumb.length === 0)?.metadata ?? {};

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : []);

const propertiesOf = ({ schema }: SingerStream): Readonly<Record<string, unknown>> =>
  (schema["properties"] ?? {}) as Readonly<Record<string, unknown>>;

export const keyOf = (stream: SingerStream): readonly string[] => {
  const facts = factsOf(stream);
  return (
    [facts["table-key-properties"], facts["view-key-properties"], stream.key_properties].map(texts).find((key) => key.length > 0) ?? []
  );
};

const fieldFacts = (stream: SingerStream, name: string): Readonly<Record<string, unknown>> =>
  stream.metadata?.find(({ breadcrumb }) => breadcrumb.length === 2 && breadcrumb[1] === name)?.metadata ?? {};

const isSupported = (stream: SingerStream, name: string): boolean => fieldFacts(stream, name)["inclusion"] !== "unsupported";

export const singerColumns = (stream: SingerStream, given: readonly Column[]): readonly Column[] =>
  columnsOf(stream.schema, keyOf(stream), given).filter(({ name }) => isSupported(stream, name));

export const streamInfo = (stream: SingerStream): StreamInfo => {
  const key = keyOf(stream);
  return { name: stream.tap_stream_id, ...(key.length === 0 ? {} : { key }), columns: singerColumns(stream, []) };
};

/** By id, or by name. Throws SOURCE_STREAM_NOT_FOUND. */
export const findStream = ({ streams }: SingerCatalog, name: string): SingerStream => {
  const found = streams.find((stream) => stream.tap_stream_id === name) ?? streams.find(({ stream }) => stream === name);
  if (found !== undefined) return found;
  throw streamNotFound(
    name,
    streams.map((stream) => stream.tap_stream_id),
  );
};

export interface Replication {
  readonly method: string;
  readonly key?: string;
}

/** `cursor`: the task's own; `asked`: the tap is to choose. Throws CURSOR_INVALID. */
export const replicationOf = (stream: SingerStream, cursor: string | undefined, asked: boolean): Replication => {
  if (cursor === undefined && !asked) return { method: "FULL_TABLE" };
  const facts = factsOf(stream);
  const forced = facts["forced-replication-method"];
  const name = stream.tap_stream_id;
  if (cursor !== undefined) {
    if (forced === "FULL_TABLE") throw new DownbeatError("CURSOR_INVALID", `the tap reads stream "${name}" only in full; leave cursor out`);
    const valid = texts(facts["valid-replication-keys"]);
    const known = valid.length > 0 ? valid : Object.keys(propertiesOf(stream));
    if (known.length > 0 && !known.includes(cursor))
      throw new DownbeatError("CURSOR_INVALID", `stream "${name}" has no cursor "${cursor}"; it may be ${known.join(", ")}`);
    return { method: "INCREMENTAL", key: cursor };
  }
  const own = [facts["replication-key"], stream.replication_key, texts(facts["valid-replication-keys"])[0]].find(
    (key): key is string => typeof key === "string",
  );
  if (typeof forced === "string" && forced !== "FULL_TABLE") return { method: forced, ...(own === undefined ? {} : { key: own }) };
  if (own !== undefined) return { method: "INCREMENTAL", key: own };
  throw new DownbeatError("CURSOR_INVALID", `the tap names no replication key for stream "${name}"; name a column with from.cursor`);
};

/** The catalog with this stream alone selected, in the ways of old taps and new ones. */
export const selectStream = (catalog: SingerCatalog, chosen: SingerStream, { method, key }: Replication): unknown => {
  const keyFacts = key === undefined ? {} : { "replication-key": key };
  const selected = {
    ...chosen,
    selected: true,
    schema: { ...chosen.schema, selected: true },
    replication_method: method,
    ...(key === undefined ? {} : { replication_key: key }),
    metadata: [
      { breadcrumb: [], metadata: { ...factsOf(chosen), selected: true, "replication-method": method, ...keyFacts } },
      ...(chosen.metadata ?? []).filter(({ breadcrumb }) => breadcrumb.length > 2),
      ...Object.keys(propertiesOf(chosen)).map((name) => ({
        breadcrumb: ["properties", name],
        metadata: { ...fieldFacts(chosen, name), selected: isSupported(chosen, name) },
      })),
    ],
  };
  const others = catalog.streams
    .filter((stream) => stream !== chosen)
    .map((stream) => ({
      ...stream,
      selected: false,
      schema: { ...stream.schema, selected: false },
      metadata: [
        { breadcrumb: [], metadata: { ...factsOf(stream), selected: false } },
        ...(stream.metadata ?? []).filter(({ breadcrumb }) => breadcrumb.length > 0),
      ],
    }));
  return { ...catalog, streams: [selected, ...others] };
};
