// Avro's object container files: columns by the schema that each was written with, rows block by block.

import { type FileHandle, open } from "node:fs/promises";
import type { Batch, Column, Reject } from "../../batch.ts";
import { blockUnpacker } from "../avro/codecs.ts";
import { addColumns, fieldsOf } from "../avro/columns.ts";
import { blocksOf, inBlock, readContent, readHeader } from "../avro/container.ts";
import { AvroCursor, MOST_EMPTY_ITEMS } from "../avro/cursor.ts";
import { avroRowReader } from "../avro/reader.ts";
import { type AvroType, parseAvroSchema } from "../avro/schema.ts";
import { fromRows, rawText, type Row } from "../rows.ts";
import { failureOf, type FileBatch, type FileRead } from "./engine.ts";

/** As with JSON Lines: rows are objects in memory until they are columns. */
const MOST_ROWS = 20_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Rows are counted from 1. The last batch may be empty. */
export async function* readAvro(read: FileRead): AsyncGenerator<FileBatch> {
  try {
    await using file = await open(read.file);
    yield* batchesOf(file, read);
  } catch (error) {
    throw failureOf(error, read, "Avro");
  }
}

async function* batchesOf(file: FileHandle, read: FileRead): AsyncGenerator<FileBatch> {
  const { name, declared, known, skipRows, signal, batchRows = MOST_ROWS } = read;
  const header = await readHeader(file);
  const schema = parseSchema(header.schema);
  const unpack = await blockUnpacker(header.codec);
  // A file that was cut shows before a row of it counts.
  for await (const _block of blocksOf(file, header, signal));
  const rows = new WaitingRows(schema, declared ?? addColumns(known, fieldsOf(schema)), name);
  let seen = 0;
  for await (const block of blocksOf(file, header, signal)) {
    if (block.rows > 0 && seen + block.rows <= skipRows) {
      seen += block.rows;
      continue;
    }
    // No codec makes nothing of nothing: there is nothing to unpack.
    if (block.rows === 0 && block.length === 0) continue;
    const content = await readContent(file, block)
      .then(unpack)
      .catch((error: unknown) => {
        throw inBlock(block, error);
      });
    if (block.rows > content.length + MOST_EMPTY_ITEMS) {
      throw inBlock(block, new Error(`says that it has ${block.rows} rows, and has ${content.length} bytes`));
    }
    const last = seen + block.rows;
    let at = 0;
    while (seen < last) {
      seen += 1;
      try {
        at = seen <= skipRows ? rows.passOver(content, at) : rows.add(content, at, seen);
      } catch (error) {
        throw inBlock(block, `is damaged: row ${seen} of the file ${(error as Error).message}`);
      }
      if (rows.count < batchRows && rows.bytes < MOST_BYTES) continue;
      yield { batch: rows.take(), rows: seen };
      signal.throwIfAborted();
    }
    if (at < content.length) throw inBlock(block, `has ${content.length - at} bytes behind its ${block.rows} rows`);
  }
  yield { batch: rows.take(), rows: seen };
}

const parseSchema = (text: string): AvroType => {
  try {
    return parseAvroSchema(text);
  } catch (error) {
    throw new Error(`its schema cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
};

/** Takes texts that are not UTF-8, with U+FFFD in them: what cannot be read by it is no row of the schema. */
class TolerantCursor extends AvroCursor {
  override readString(): string {
    return this.readBytes().toString("utf8");
  }
}

interface Place {
  readonly content: Buffer;
  readonly at: number;
  /** Of the file. */
  readonly row: number;
}

/** The rows of a batch that is being read. */
class WaitingRows {
  readonly #columns: readonly Column[];
  readonly #read: (cursor: AvroCursor) => Row;
  /** Every value as JSON has it. */
  readonly #plain: (cursor: AvroCursor) => Row;
  readonly #name: string;
  #rows: Row[] = [];
  #places: Place[] = [];
  #rejects: Reject[] = [];
  #bytes = 0;

  constructor(schema: AvroType, columns: readonly Column[], name: string) {
    this.#columns = columns;
    this.#read = avroRowReader(schema, columns);
    this.#plain = avroRowReader(schema, []);
    this.#name = name;
  }

  get count(): number {
    return this.#rows.length + this.#rejects.length;
  }

  /** As they are written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Gives where the next one begins. One that has values which are not for its columns becomes a reject; throws where there is no row. */
  add(content: Buffer, at: number, row: number): number {
    const place = { content, at, row };
    const cursor = new AvroCursor(content, at);
    let end: number;
    try {
      this.#rows.push(this.#read(cursor));
      this.#places.push(place);
      end = content.length - cursor.left;
    } catch (error) {
      end = this.passOver(content, at);
      this.#reject(place, error instanceof Error ? error.message : String(error));
    }
    this.#bytes += end - at;
    return end;
  }

  passOver(content: Buffer, at: number): number {
    const cursor = new TolerantCursor(content, at);
    this.#plain(cursor);
    return content.length - cursor.left;
  }

  #reject({ content, at, row }: Place, reason: string): void {
    const raw = rawText(this.#plain(new TolerantCursor(content, at)));
    this.#rejects.push({ where: `row ${row} of ${this.#name}`, code: "SOURCE_DATA_INVALID", reason, raw });
  }

  take(): Batch {
    const { rejects: misfits = [], ...batch } = fromRows(this.#columns, this.#rows, { position: null, where: String });
    for (const { where, reason } of misfits) {
      const place = this.#places[Number(where)];
      if (place !== undefined) this.#reject(place, reason);
    }
    const taken = this.#rejects.length === 0 ? batch : { ...batch, rejects: this.#rejects };
    this.#rows = [];
    this.#places = [];
    this.#rejects = [];
    this.#bytes = 0;
    return taken;
  }
}
