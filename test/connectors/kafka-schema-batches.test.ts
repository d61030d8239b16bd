// Batches of messages whose schemas change: columns only grow, and are the same object where nothing is new.

import { expect, it } from "vitest";
import { createSchemaBatches } from "../../connectors/kafka/schema-messages.ts";
import { createMessageSchemas } from "../../connectors/kafka/schemas.ts";
import { kafkaSourceOptions } from "../../connectors/kafka/spec.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import { avroType, framed } from "../fixtures/avro.ts";

const SCHEMAS = [
  { type: "record", name: "R", fields: [{ name: "n", type: "int" }] },
  { type: "record", name: "R", fields: [{ name: "n", type: "long" }] },
];

it("a batch with the schemas of the one before has its columns; later ones hold both", async () => {
  const asked: number[] = [];
  const schemas = createMessageSchemas(
    {
      check: () => Promise.resolve(),
      schema: (id) => {
        asked.push(id);
        return Promise.resolve({ type: "AVRO", text: JSON.stringify(SCHEMAS[id]), references: [] });
      },
    },
    "avro",
  );
  const options = kafkaSourceOptions.parse({ format: "avro", metadata: false });
  const batches = createSchemaBatches("t", options, schemas, 2);
  let offset = 0n;
  const batchOf = async (...ids: readonly number[]) => {
    for (const id of ids) {
      const value = framed(id, avroType(SCHEMAS[id] ?? "null").toBuffer({ n: id === 0 ? 1 : 2n ** 60n }));
      await batches.add({ partition: 0, offset, timestampMs: 0n, key: null, value, headers: [] });
      offset += 1n;
    }
    expect(batches.isFull).toBe(ids.length >= 2);
    return batches.take({ 0: String(offset) });
  };
  const first = await batchOf(0, 0);
  const same = await batchOf(0);
  const wider = await batchOf(1, 0);
  const last = await batchOf(0, 0);
  expect(same.schema.columns).toBe(first.schema.columns);
  expect(wider.schema.columns).toEqual([{ name: "n", type: { kind: "int64" }, nullable: true }]);
  expect(last.schema.columns).toBe(wider.schema.columns);
  expect([first, same, wider, last].map((batch) => toRows(batch).map(({ n }) => n))).toEqual([
    [1, 1],
    [1],
    ["1152921504606846976", 1],
    [1, 1],
  ]);
  expect(last.position).toEqual({ 0: "7" });
  expect(asked).toEqual([0, 1]);
});
