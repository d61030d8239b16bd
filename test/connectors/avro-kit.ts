// Reads Avro files in tests: from bytes to all that comes of them.

import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect } from "vitest";
import type { Column } from "../../connectors/batch.ts";
import { fileOptions, readFile, type ReadFileOptions } from "../../connectors/lib/formats/read-file.ts";
import { unpack } from "../../connectors/lib/formats/unpack.ts";
import { toRows, typeName } from "../../connectors/lib/rows.ts";

/** Of this test file; empty after each reading. */
export const folder = mkdtempSync(path.join(tmpdir(), "downbeat-avro-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

export const columnsOf = (types: Readonly<Record<string, string>>): readonly Column[] => fileOptions.columns.parse(types) ?? [];

type Options = Partial<Omit<ReadFileOptions, "columns">> & { readonly columns?: Readonly<Record<string, string>> };

/** What has been read, also where an error has ended it. */
class Reading {
  rows: Record<string, unknown>[] = [];
  rejects: { readonly where: string; readonly reason: string; readonly raw: string }[] = [];
  columns: readonly Column[] = [];
  ends: number[] = [];
  error: unknown;

  get types(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.columns.map(({ name, type }) => [name, typeName(type)]));
  }
}

let files = 0;
export const tryRead = async (bytes: Uint8Array, { columns, name = "x.avro", ...more }: Options = {}): Promise<Reading> => {
  const file = path.join(folder, `${(files += 1)}`);
  writeFileSync(file, bytes);
  const reading = new Reading();
  const { signal } = new AbortController();
  await using plain = await unpack({ file, name }, { tempDir: folder, signal });
  try {
    for await (const { batch, rows } of readFile({
      file: plain?.path ?? file,
      name,
      delimiter: ",",
      header: true,
      known: [],
      skipRows: 0,
      tempDir: folder,
      signal,
      ...(columns === undefined ? {} : { columns: columnsOf(columns) }),
      ...more,
    })) {
      reading.rows.push(...toRows(batch));
      reading.rejects.push(...(batch.rejects ?? []));
      reading.columns = batch.schema.columns;
      reading.ends.push(rows);
    }
  } catch (error) {
    reading.error = error;
  }
  await rm(file);
  return reading;
};

export const read = async (bytes: Uint8Array, options: Options = {}): Promise<Reading> => {
  const reading = await tryRead(bytes, options);
  if (reading.error !== undefined) throw reading.error;
  return reading;
};

export const matching = (pattern: RegExp): string => expect.stringMatching(pattern) as string;
export const broken = (pattern: RegExp) => ({ code: "SOURCE_FILE_BROKEN", message: matching(pattern) });

export const record = (fields: Readonly<Record<string, unknown>>): object => ({
  type: "record",
  name: "R",
  fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
});
