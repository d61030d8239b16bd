// The floor's Parquet writer: PLAIN, uncompressed, one row group; columns are filled straight from rows of MySQL's binary protocol.

import { days, kindOf, type FloorColumn, type FloorKind } from "./mysql-rows.ts";

const PHYSICAL: Readonly<Record<FloorKind, number>> = { bool: 0, i32: 1, date: 1, i64: 2, decimal: 2, timestamp: 2, f64: 5, text: 6 };
const TWO_32 = 4_294_967_296;

class Compact {
  readonly bytes: number[] = [];
  #last = 0;

  varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.bytes.push((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.bytes.push(rest);
  }

  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  field(id: number, type: number): void {
    this.bytes.push(((id - this.#last) << 4) | type);
    this.#last = id;
  }

  i32(id: number, value: number): void {
    this.field(id, 5);
    this.zigzag(value);
  }

  i64(id: number, value: number): void {
    this.field(id, 6);
    this.zigzag(value);
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    this.varint(bytes.length);
    this.bytes.push(...bytes);
  }

  list(id: number, type: number, length: number): void {
    this.field(id, 9);
    if (length < 15) this.bytes.push((length << 4) | type);
    else {
      this.bytes.push(0xf0 | type);
      this.varint(length);
    }
  }

  body(write: () => void): void {
    const outer = this.#last;
    this.#last = 0;
    write();
    this.bytes.push(0);
    this.#last = outer;
  }

  struct(id: number, write: () => void): void {
    this.field(id, 12);
    this.body(write);
  }
}

/** All columns have the same shape, so that the loop over them stays quick. */
class FloorCells {
  readonly column: FloorColumn;
  readonly kind: FloorKind;
  readonly valid: Uint8Array | null;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly doubles: Buffer;
  text: Buffer;
  used = 0;
  count = 0;
  nulls = 0;

  constructor(column: FloorColumn, capacity: number) {
    this.column = column;
    this.kind = kindOf(column);
    this.valid = column.notNull ? null : new Uint8Array(capacity);
    const { kind } = this;
    this.words = new Int32Array(
      kind === "i32" || kind === "date" ? capacity : kind === "i64" || kind === "decimal" || kind === "timestamp" ? capacity * 2 : 0,
    );
    this.bytes = new Uint8Array(kind === "bool" ? capacity : 0);
    this.doubles = Buffer.allocUnsafeSlow(kind === "f64" ? capacity * 8 : 0);
    this.text = Buffer.allocUnsafeSlow(kind === "text" ? capacity * 64 : 0);
  }
}

export class ParquetRows {
  readonly #cells: readonly FloorCells[];
  rows = 0;

  constructor(columns: readonly FloorColumn[], capacity: number) {
    this.#cells = columns.map((column) => new FloorCells(column, capacity));
  }

  clear(): void {
    this.rows = 0;
    for (const cell of this.#cells) {
      cell.count = 0;
      cell.nulls = 0;
      cell.used = 0;
    }
  }

  row(b: Buffer, at: number): void {
    const cells = this.#cells;
    const count = cells.length;
    const row = this.rows;
    this.rows += 1;
    let p = at + 1 + ((count + 9) >> 3);
    for (let place = 0; place < count; place += 1) {
      const cell = cells[place]!;
      const bit = place + 2;
      if ((b[at + 1 + (bit >> 3)]! & (1 << (bit & 7))) !== 0) {
        cell.valid![row] = 0;
        cell.nulls += 1;
        continue;
      }
      if (cell.valid !== null) cell.valid[row] = 1;
      switch (cell.kind) {
        case "i32":
          cell.words[cell.count++] = b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24);
          p += 4;
          break;
        case "i64": {
          const q = cell.count++ * 2;
          cell.words[q] = b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24);
          cell.words[q + 1] = b[p + 4]! | (b[p + 5]! << 8) | (b[p + 6]! << 16) | (b[p + 7]! << 24);
          p += 8;
          break;
        }
        case "f64": {
          const q = cell.count++ * 8;
          const d = cell.doubles;
          d[q] = b[p]!;
          d[q + 1] = b[p + 1]!;
          d[q + 2] = b[p + 2]!;
          d[q + 3] = b[p + 3]!;
          d[q + 4] = b[p + 4]!;
          d[q + 5] = b[p + 5]!;
          d[q + 6] = b[p + 6]!;
          d[q + 7] = b[p + 7]!;
          p += 8;
          break;
        }
        case "bool":
          cell.bytes[cell.count++] = b[p] === 0 ? 0 : 1;
          p += 1;
          break;
        case "decimal": {
          const end = p + 1 + b[p]!;
          p += 1;
          const negative = b[p] === 45;
          if (negative) p += 1;
          let value = 0;
          for (; p < end; p += 1) {
            const code = b[p]!;
            if (code !== 46) value = value * 10 + code - 48;
          }
          if (negative) value = -value;
          const q = cell.count++ * 2;
          const high = Math.floor(value / TWO_32);
          cell.words[q] = value - high * TWO_32;
          cell.words[q + 1] = high;
          break;
        }
        case "date": {
          const length = b[p++]!;
          cell.words[cell.count++] = length > 0 ? days(b[p]! | (b[p + 1]! << 8), b[p + 2]!, b[p + 3]!) : 0;
          p += length;
          break;
        }
        case "timestamp": {
          const length = b[p++]!;
          let value = 0;
          if (length > 0) {
            value = days(b[p]! | (b[p + 1]! << 8), b[p + 2]!, b[p + 3]!) * 86_400;
            if (length > 4) value += b[p + 4]! * 3_600 + b[p + 5]! * 60 + b[p + 6]!;
            value *= 1e6;
            if (length > 7) value += b[p + 7]! | (b[p + 8]! << 8) | (b[p + 9]! << 16) | (b[p + 10]! << 24);
          }
          p += length;
          const q = cell.count++ * 2;
          const high = Math.floor(value / TWO_32);
          cell.words[q] = value - high * TWO_32;
          cell.words[q + 1] = high;
          break;
        }
        case "text": {
          let length = b[p++]!;
          if (length > 250) {
            if (length === 252) {
              length = b[p]! | (b[p + 1]! << 8);
              p += 2;
            } else {
              length = b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16);
              p += 3;
            }
          }
          let w = cell.used;
          let d = cell.text;
          if (w + length + 4 > d.length) {
            const grown = Buffer.allocUnsafeSlow(Math.max(d.length * 2, w + length + 4));
            d.copy(grown, 0, 0, w);
            cell.text = d = grown;
          }
          d[w] = length & 255;
          d[w + 1] = (length >> 8) & 255;
          d[w + 2] = (length >> 16) & 255;
          d[w + 3] = 0;
          w += 4;
          if (length < 48) for (const end = p + length; p < end; ) d[w++] = b[p++]!;
          else {
            b.copy(d, w, p, p + length);
            w += length;
            p += length;
          }
          cell.used = w;
          cell.count += 1;
          break;
        }
      }
    }
  }

  /** The buffers of a whole file. */
  file(): readonly Uint8Array[] {
    const parts: Uint8Array[] = [Buffer.from("PAR1")];
    let offset = 4;
    const { rows } = this;
    const chunks = this.#cells.map((cell) => {
      const data = valuesOf(cell);
      const levels = cell.valid === null ? null : levelsOf(cell.valid, rows, cell.nulls);
      const size = data.length + (levels?.length ?? 0);
      const header = new Compact();
      header.body(() => {
        header.i32(1, 0);
        header.i32(2, size);
        header.i32(3, size);
        header.struct(5, () => {
          header.i32(1, rows);
          header.i32(2, 0);
          header.i32(3, 3);
          header.i32(4, 3);
        });
      });
      const head = Buffer.from(header.bytes);
      const chunk = { cell, offset, total: head.length + size };
      parts.push(head, ...(levels === null ? [] : [levels]), data);
      offset += chunk.total;
      return chunk;
    });
    const footer = new Compact();
    footer.body(() => {
      footer.i32(1, 1);
      footer.list(2, 12, chunks.length + 1);
      footer.body(() => {
        footer.field(4, 8);
        footer.text("rows");
        footer.i32(5, chunks.length);
      });
      for (const { cell } of chunks) footer.body(() => elementOf(footer, cell));
      footer.i64(3, rows);
      footer.list(4, 12, 1);
      footer.body(() => {
        footer.list(1, 12, chunks.length);
        for (const { cell, offset: at, total } of chunks) {
          footer.body(() => {
            footer.i64(2, at);
            footer.struct(3, () => {
              footer.i32(1, PHYSICAL[cell.kind]);
              footer.list(2, 5, 2);
              footer.zigzag(0);
              footer.zigzag(3);
              footer.list(3, 8, 1);
              footer.text(cell.column.name);
              footer.i32(4, 0);
              footer.i64(5, rows);
              footer.i64(6, total);
              footer.i64(7, total);
              footer.i64(9, at);
            });
          });
        }
        footer.i64(
          2,
          chunks.reduce((sum, { total }) => sum + total, 0),
        );
        footer.i64(3, rows);
      });
    });
    const foot = Buffer.from(footer.bytes);
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(foot.length, 0);
    tail.write("PAR1", 4);
    parts.push(foot, tail);
    return parts;
  }
}

const elementOf = (footer: Compact, { kind, valid, column }: FloorCells): void => {
  footer.i32(1, PHYSICAL[kind]);
  footer.i32(3, valid === null ? 0 : 1);
  footer.field(4, 8);
  footer.text(column.name);
  if (kind === "text") footer.i32(6, 0);
  else if (kind === "date") footer.i32(6, 6);
  else if (kind === "timestamp") footer.i32(6, 10);
  else if (kind === "decimal") {
    footer.i32(6, 5);
    footer.i32(7, column.decimals);
    footer.i32(8, column.length - 2);
  }
};

const valuesOf = ({ kind, text, used, doubles, count, bytes, words }: FloorCells): Uint8Array => {
  switch (kind) {
    case "text":
      return text.subarray(0, used);
    case "f64":
      return doubles.subarray(0, count * 8);
    case "bool": {
      const bits = Buffer.alloc((count + 7) >> 3);
      for (let row = 0; row < count; row += 1) if (bytes[row] !== 0) bits[row >> 3] = bits[row >> 3]! | (1 << (row & 7));
      return bits;
    }
    default:
      return Buffer.from(words.buffer, 0, count * (kind === "i32" || kind === "date" ? 4 : 8));
  }
};

const levelsOf = (valid: Uint8Array, rows: number, nulls: number): Buffer => {
  const size = (rows + 7) >> 3;
  const run = new Compact();
  run.varint((size << 1) | 1);
  const bits = Buffer.alloc(size);
  if (nulls === 0) bits.fill(255);
  else for (let row = 0; row < rows; row += 1) if (valid[row] !== 0) bits[row >> 3] = bits[row >> 3]! | (1 << (row & 7));
  const levels = Buffer.alloc(4 + run.bytes.length + size);
  levels.writeUInt32LE(run.bytes.length + size, 0);
  levels.set(run.bytes, 4);
  levels.set(bits, 4 + run.bytes.length);
  return levels;
};
