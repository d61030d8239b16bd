// Airbyte catalogs: what a source has, and the configured one with one stream.

import { DownbeatError } from "../../core/errors.ts";
import type { StreamInfo } from "../connector.ts";
import { columnsOf, type JsonSchema } from "../lib/taps/json-schema.ts";
import { streamNotFound } from "../lib/taps/requests.ts";

export interface AirbyteStream {
  readonly name: string;
  readonly namespace?: string | null;
  readonly json_schema: JsonSchema;
  readonly supported_sync_modes?: readonly string[];
  readonly source_defined_cursor?: boolean | null;
  readonly default_cursor_field?: readonly string[] | null;
  readonly source_defined_primary_key?: readonly (readonly string[])[] | null;
}

const isNested = (path: readonly string[]): boolean => path.length !== 1;

export const nameOf = ({ name, namespace }: Pick<AirbyteStream, "name" | "namespace">): string =>
  namespace === null || namespace === undefined || namespace === "" ? name : `${namespace}.${name}`;

/** None where a part of it lies inside an object: it is no column. */
export const keyOf = ({ source_defined_primary_key: key }: AirbyteStream): readonly string[] =>
  key === null || key === undefined || key.some(isNested) ? [] : key.flat();

export const streamInfo = (stream: AirbyteStream): StreamInfo => {
  const key = keyOf(stream);
  return { name: nameOf(stream), ...(key.length === 0 ? {} : { key }), columns: columnsOf(stream.json_schema, key, []) };
};

/** Throws SOURCE_STREAM_NOT_FOUND. */
export const findStream = (streams: readonly AirbyteStream[], name: string): AirbyteStream => {
  const found = streams.find((stream) => nameOf(stream) === name) ?? streams.find((stream) => stream.name === name);
  if (found !== undefined) return found;
  throw streamNotFound(name, streams.map(nameOf));
};

/** Throws CURSOR_INVALID. */
const cursorField = (stream: AirbyteStream, cursor: string | undefined): readonly string[] => {
  const own = stream.default_cursor_field ?? [];
  const name = nameOf(stream);
  if (!(stream.supported_sync_modes ?? []).includes("incremental"))
    throw new DownbeatError("CURSOR_INVALID", `the source reads stream "${name}" only in full; leave cursor and incremental out`);
  if (cursor === undefined) {
    if (stream.source_defined_cursor === true || own.length > 0) return own;
    throw new DownbeatError("CURSOR_INVALID", `the source defines no cursor for stream "${name}"; name a column with from.cursor`);
  }
  if (stream.source_defined_cursor === true && own.join(".") !== cursor)
    throw new DownbeatError(
      "CURSOR_INVALID",
      `the source itself defines the cursor of stream "${name}": ${own.join(".") || "write incremental: true"}`,
    );
  const columns = Object.keys((stream.json_schema["properties"] ?? {}) as object);
  if (columns.length > 0 && !columns.includes(cursor) && own.join(".") !== cursor)
    throw new DownbeatError("CURSOR_INVALID", `stream "${name}" has no column "${cursor}"; it has ${columns.join(", ")}`);
  return own.join(".") === cursor ? own : [cursor];
};

export const configuredCatalog = (stream: AirbyteStream, cursor: string | undefined, incremental: boolean): unknown => ({
  streams: [
    {
      stream,
      sync_mode: incremental ? "incremental" : "full_refresh",
      destination_sync_mode: "append",
      primary_key: stream.source_defined_primary_key ?? [],
      ...(incremental ? { cursor_field: cursorField(stream, cursor) } : {}),
    },
  ],
});
