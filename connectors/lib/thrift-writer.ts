// Writes Thrift's compact protocol: what the headers and the footer of a Parquet file are made of.

const TYPE = { boolTrue: 1, boolFalse: 2, byte: 3, i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const;

export class ThriftWriter {
  #bytes: number[] = [];
  #lastField = 0;

  #varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.#bytes.push((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.#bytes.push(rest);
  }

  #zigzag(value: number): void {
    this.#varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  #field(id: number, type: number): void {
    const delta = id - this.#lastField;
    if (delta > 0 && delta < 16) this.#bytes.push((delta << 4) | type);
    else {
      this.#bytes.push(type);
      this.#zigzag(id);
    }
    this.#lastField = id;
  }

  bool(id: number, value: boolean): void {
    this.#field(id, value ? TYPE.boolTrue : TYPE.boolFalse);
  }

  byte(id: number, value: number): void {
    this.#field(id, TYPE.byte);
    this.#bytes.push(value);
  }

  i32(id: number, value: number): void {
    this.#field(id, TYPE.i32);
    this.#zigzag(value);
  }

  /** Exact up to 2^52: sizes and counts. */
  i64(id: number, value: number): void {
    this.#field(id, TYPE.i64);
    this.#zigzag(value);
  }

  string(id: number, value: string): void {
    this.#field(id, TYPE.binary);
    this.#text(value);
  }

  #text(value: string): void {
    const bytes = Buffer.from(value);
    this.#varint(bytes.length);
    this.#bytes.push(...bytes);
  }

  struct(id: number, write: () => void): void {
    this.#field(id, TYPE.struct);
    this.body(write);
  }

  /** A struct's fields and its end, without a field header: the outermost one, and elements of lists. */
  body(write: () => void): void {
    const outer = this.#lastField;
    this.#lastField = 0;
    write();
    this.#bytes.push(0);
    this.#lastField = outer;
  }

  structs<T>(id: number, items: readonly T[], write: (item: T) => void): void {
    this.#list(id, TYPE.struct, items.length);
    for (const item of items) this.body(() => write(item));
  }

  i32s(id: number, items: readonly number[]): void {
    this.#list(id, TYPE.i32, items.length);
    for (const item of items) this.#zigzag(item);
  }

  strings(id: number, items: readonly string[]): void {
    this.#list(id, TYPE.binary, items.length);
    for (const item of items) this.#text(item);
  }

  #list(id: number, type: number, length: number): void {
    this.#field(id, TYPE.list);
    if (length < 15) this.#bytes.push((length << 4) | type);
    else {
      this.#bytes.push(0xf0 | type);
      this.#varint(length);
    }
  }

  take(): Buffer {
    const bytes = Buffer.from(this.#bytes);
    this.#bytes = [];
    this.#lastField = 0;
    return bytes;
  }
}
