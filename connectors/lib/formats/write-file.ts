// A batch as the bytes of one file.

import type { Batch } from "../../batch.ts";
import { encodeParquet } from "../parquet-encoder.ts";
import { readerOf, toRows } from "../rows.ts";

export type WrittenFormat = "parquet" | "csv" | "jsonl";

export const encodeFile = (format: WrittenFormat, batch: Batch): Promise<Uint8Array> => {
  switch (format) {
    case "parquet":
      return Promise.resolve(
        Buffer.concat(
          encodeParquet(
            batch,
            batch.schema.columns.map(({ name }, index) => ({ index, name })),
          ),
        ),
      );
    case "jsonl":
      return Promise.resolve(
        Buffer.from(
          toRows(batch)
            .map((row) => `${JSON.stringify(row)}\n`)
            .join(""),
        ),
      );
    case "csv":
      return Promise.resolve(Buffer.from(csvText(batch)));
  }
};

/** NULL is an empty field, the empty string a quoted one: what we write we read back. */
const csvField = (value: unknown): string => {
  if (value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csvText = (batch: Batch): string => {
  const readers = batch.schema.columns.map((column, place) => readerOf(column.type, batch.columns[place]));
  const lines = [batch.schema.columns.map(({ name }) => csvField(name)).join(",")];
  for (let row = 0; row < batch.rows; row += 1) lines.push(readers.map((read) => csvField(read(row))).join(","));
  return `${lines.join("\n")}\n`;
};
