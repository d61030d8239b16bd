// Rows as messages: the value is the row as JSON, the key its key columns; a row that is gone has no value.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch } from "../batch.ts";
import type { LoadTarget } from "../connector.ts";
import { readerOf } from "../lib/rows.ts";

export interface RowMessage {
  readonly topic: string;
  readonly key?: Buffer;
  readonly value?: Buffer;
}

interface Field {
  readonly name: string;
  readonly read: (row: number) => Json;
}

/** Throws DESTINATION_TABLE_INVALID where the stream lacks a key column, and DESTINATION_DATA_REFUSED where one is NULL. */
export function* rowMessages(batch: Batch, { table: topic, keyColumns }: Pick<LoadTarget, "table" | "keyColumns">): Generator<RowMessage> {
  const fields = batch.schema.columns.map(({ name, type }, place): Field => ({ name, read: readerOf(type, batch.columns[place]) }));
  const keys = keyColumns.map((name) => fields.find((field) => field.name === name) ?? refuseMissing(name, topic, fields));
  for (let row = 0; row < batch.rows; row += 1) {
    const key = keys.length === 0 ? {} : { key: keyOf(keys, row, topic) };
    if (batch.deleted?.[row] === 1) yield { topic, ...key };
    else yield { topic, ...key, value: Buffer.from(JSON.stringify(objectOf(fields, row))) };
  }
}

const objectOf = (fields: readonly Field[], row: number): Record<string, Json> =>
  Object.fromEntries(fields.map(({ name, read }) => [name, read(row)]));

/** Of one column its text, of several a JSON object. */
const keyOf = (keys: readonly Field[], row: number, topic: string): Buffer => {
  const values = objectOf(keys, row);
  const [name, value = null] = Object.entries(values).find(([, one]) => one === null) ?? Object.entries(values)[0] ?? [];
  if (value === null) {
    throw new DownbeatError(
      "DESTINATION_DATA_REFUSED",
      `topic ${topic}: a row has NULL in the key column "${name}", and messages of rows are told apart by it; leave such rows out in the source's query or choose other key columns`,
      { details: { column: name } },
    );
  }
  if (keys.length > 1) return Buffer.from(JSON.stringify(values));
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
};

const refuseMissing = (name: string, topic: string, fields: readonly Field[]): never => {
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `topic ${topic}: the stream has no column "${name}", which to.key names; it has ${fields.map((field) => field.name).join(", ")}`,
    { details: { missing: [name] } },
  );
};
