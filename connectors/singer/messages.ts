// Singer messages of one stream: SCHEMA, RECORD, STATE.

import { DownbeatError } from "../../core/errors.ts";
import type { Column } from "../batch.ts";
import { columnsOf, type JsonSchema } from "../lib/taps/json-schema.ts";
import type { TapEvent, TapMessages } from "../lib/taps/read-messages.ts";
import { singerColumns, type SingerCatalog, type SingerStream } from "./catalog.ts";

const NOTHING: TapEvent = { is: "nothing" };
const isText = (value: unknown): value is string => typeof value === "string";

export const singerMessages = (catalog: SingerCatalog, chosen: SingerStream, given: readonly Column[]): TapMessages => {
  const own = new Set([chosen.tap_stream_id, chosen.stream]);
  const others = new Set(catalog.streams.filter((stream) => stream !== chosen).flatMap(({ tap_stream_id: id, stream }) => [id, stream]));
  // Some taps give messages another name than the catalog has, such as "schema-table"; only one stream is selected.
  const isOwn = (name: unknown): boolean => isText(name) && (own.has(name) || !others.has(name));
  let described: string | undefined;
  return {
    columns: singerColumns(chosen, given),
    interpret(message) {
      switch (message["type"]) {
        case "RECORD":
          return isOwn(message["stream"]) ? { is: "record", record: message["record"] } : NOTHING;
        case "SCHEMA": {
          if (!isOwn(message["stream"])) return NOTHING;
          const { schema, key_properties: key } = message;
          const text = JSON.stringify([schema, key], (_name, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
          if (text === described || typeof schema !== "object" || schema === null) return NOTHING;
          described = text;
          return { is: "schema", columns: columnsOf(schema as JsonSchema, Array.isArray(key) ? key.filter(isText) : [], given) };
        }
        case "STATE":
          return { is: "state", state: message["value"] ?? null };
        case "ACTIVATE_VERSION":
          return NOTHING;
        case "BATCH":
          throw new DownbeatError(
            "SOURCE_DATA_INVALID",
            "the tap writes its records into files (BATCH messages); leave batch_config out of its config",
          );
        default:
          return { is: "unknown" };
      }
    },
  };
};
