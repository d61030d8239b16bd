// Grows columns value by value and hands them over as a batch. Sources that can fill the arrays themselves use the columns directly.

import {
  layoutOf,
  type Batch,
  type Column,
  type FixedVector,
  type Position,
  type Reject,
  type Schema,
  type TextVector,
  type Vector,
  WIDTH,
} from "../batch.ts";

/** A batch ends at whichever comes first. As many rows as a row group of DuckDB has: groups that are never filled up later are written once. */
export const BATCH_ROWS = 122_880;
export const BATCH_BYTES = 32 * 1024 * 1024;

abstract class ColumnBuilder {
  readonly column: Column;
  protected valid: Uint8Array<ArrayBuffer>;
  protected nulls = 0;
  rows = 0;

  constructor(column: Column, capacity: number) {
    this.column = column;
    this.valid = new Uint8Array(capacity);
  }

  protected growValid(): void {
    if (this.rows < this.valid.length) return;
    const grown = new Uint8Array(this.valid.length * 2);
    grown.set(this.valid);
    this.valid = grown;
  }

  protected takeValid(): Uint8Array<ArrayBuffer> | null {
    return this.nulls === 0 ? null : this.valid.slice(0, this.rows);
  }

  abstract appendNull(): void;
  abstract readonly bytes: number;
  abstract take(): Vector;
  /** Drops rows from the end: a row whose later columns could not be read. */
  abstract truncate(rows: number): void;
}

export class FixedColumnBuilder extends ColumnBuilder {
  readonly #width: 1 | 4 | 8;
  readonly #layout: FixedVector["layout"];
  #data: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;

  constructor(column: Column, layout: FixedVector["layout"], capacity: number) {
    super(column, capacity);
    this.#layout = layout;
    this.#width = WIDTH[layout];
    this.#data = new Uint8Array(capacity * this.#width);
    this.#view = new DataView(this.#data.buffer);
  }

  get bytes(): number {
    return this.rows * this.#width;
  }

  #grow(): number {
    this.growValid();
    if ((this.rows + 1) * this.#width > this.#data.length) {
      const grown = new Uint8Array(this.#data.length * 2);
      grown.set(this.#data);
      this.#data = grown;
      this.#view = new DataView(grown.buffer);
    }
    const offset = this.rows * this.#width;
    this.valid[this.rows] = 1;
    this.rows += 1;
    return offset;
  }

  appendNull(): void {
    this.#grow();
    this.valid[this.rows - 1] = 0;
    this.nulls += 1;
  }

  appendBool(value: boolean): void {
    const offset = this.#grow();
    this.#data[offset] = value ? 1 : 0;
  }

  appendInt32(value: number): void {
    const offset = this.#grow();
    this.#view.setInt32(offset, value, true);
  }

  appendFloat32(value: number): void {
    const offset = this.#grow();
    this.#view.setFloat32(offset, value, true);
  }

  appendFloat64(value: number): void {
    const offset = this.#grow();
    this.#view.setFloat64(offset, value, true);
  }

  /** Also for uint64: the same 64 bits. */
  appendInt64(value: bigint): void {
    const offset = this.#grow();
    this.#view.setBigInt64(offset, value, true);
  }

  /** A 64-bit integer that is exact as a double. */
  appendSafeInteger(value: number): void {
    const offset = this.#grow();
    this.#view.setInt32(offset, value | 0, true);
    this.#view.setInt32(offset + 4, Math.floor(value / 4_294_967_296), true);
  }

  truncate(rows: number): void {
    while (this.rows > rows) {
      this.rows -= 1;
      if (this.valid[this.rows] === 0) this.nulls -= 1;
    }
  }

  take(): FixedVector {
    const vector = { layout: this.#layout, data: this.#data.slice(0, this.rows * this.#width), valid: this.takeValid() };
    this.rows = 0;
    this.nulls = 0;
    return vector;
  }
}

/** Bytes; fewer are copied faster one by one than by a call. */
const LONG_COPY = 96;

export class TextColumnBuilder extends ColumnBuilder {
  #offsets: Int32Array<ArrayBuffer>;
  #data: Buffer<ArrayBuffer>;
  #end = 0;

  constructor(column: Column, capacity: number) {
    super(column, capacity);
    this.#offsets = new Int32Array(capacity + 1);
    this.#data = Buffer.from(new ArrayBuffer(capacity * 16));
  }

  get bytes(): number {
    return this.#end + this.rows * 4;
  }

  #reserve(length: number): void {
    this.growValid();
    if (this.rows + 2 > this.#offsets.length) {
      const grown = new Int32Array(this.#offsets.length * 2);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    if (this.#end + length > this.#data.length) {
      const grown = Buffer.from(new ArrayBuffer(Math.max(this.#data.length * 2, this.#end + length)));
      this.#data.copy(grown, 0, 0, this.#end);
      this.#data = grown;
    }
  }

  #close(valid: 0 | 1): void {
    this.valid[this.rows] = valid;
    this.rows += 1;
    this.#offsets[this.rows] = this.#end;
  }

  appendNull(): void {
    this.#reserve(0);
    this.nulls += 1;
    this.#close(0);
  }

  appendBytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#data.set(value, this.#end);
    this.#end += value.length;
    this.#close(1);
  }

  /** Bytes of a larger array, without a view of them. */
  appendRange(source: Uint8Array, from: number, end: number): void {
    this.#reserve(end - from);
    const data = this.#data;
    let to = this.#end;
    if (end - from > LONG_COPY) data.set(source.subarray(from, end), to);
    else
      for (let at = from; at < end; at += 1) {
        data[to] = source[at]!;
        to += 1;
      }
    this.#end += end - from;
    this.#close(1);
  }

  appendText(value: string): void {
    // Three bytes a UTF-16 unit is the most that UTF-8 takes.
    this.#reserve(value.length * 3);
    this.#end += this.#data.write(value, this.#end, "utf8");
    this.#close(1);
  }

  truncate(rows: number): void {
    while (this.rows > rows) {
      this.rows -= 1;
      if (this.valid[this.rows] === 0) this.nulls -= 1;
    }
    this.#end = this.#offsets[rows] ?? 0;
  }

  take(): TextVector {
    const vector = {
      layout: "text" as const,
      offsets: this.#offsets.slice(0, this.rows + 1),
      data: new Uint8Array(this.#data.buffer.slice(0, this.#end)),
      valid: this.takeValid(),
    };
    this.rows = 0;
    this.nulls = 0;
    this.#end = 0;
    return vector;
  }
}

/** Rows that there is room for at first: fewer where the columns are very many. */
const firstCapacity = (columns: number): number => Math.max(16, Math.min(1_024, Math.floor(1_000_000 / Math.max(columns, 1))));

export class BatchBuilder {
  readonly schema: Schema;
  readonly columns: readonly (FixedColumnBuilder | TextColumnBuilder)[];
  #rows = 0;

  constructor(schema: Schema, capacity = firstCapacity(schema.columns.length)) {
    this.schema = schema;
    this.columns = schema.columns.map((column) => {
      const layout = layoutOf(column.type);
      return layout === "text" ? new TextColumnBuilder(column, capacity) : new FixedColumnBuilder(column, layout, capacity);
    });
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.columns.reduce((sum, column) => sum + column.bytes, 0);
  }

  get isFull(): boolean {
    return this.#rows >= BATCH_ROWS || (this.#rows % 256 === 0 && this.bytes >= BATCH_BYTES);
  }

  endRow(): void {
    this.#rows += 1;
  }

  /** Takes back what was appended for a row that turned out to be unreadable. */
  dropRow(): void {
    for (const column of this.columns) column.truncate(this.#rows);
  }

  take(position: Position | null, extra: { readonly rejects?: readonly Reject[]; readonly items?: readonly string[] } = {}): Batch {
    const { rows, bytes } = this;
    const columns = this.columns.map((column) => column.take());
    this.#rows = 0;
    return {
      schema: this.schema,
      rows,
      columns,
      bytes,
      position,
      ...(extra.rejects === undefined || extra.rejects.length === 0 ? {} : { rejects: extra.rejects }),
      ...(extra.items === undefined || extra.items.length === 0 ? {} : { items: extra.items }),
    };
  }
}
