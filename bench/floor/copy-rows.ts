// The floor's writer for PostgreSQL: rows of MySQL's binary protocol as rows of COPY BINARY, field by field.

import { days, kindOf, type FloorColumn, type FloorKind } from "./mysql-rows.ts";

const DAYS_TO_2000 = 10_957;
const TWO_32 = 4_294_967_296;
const NUMERIC_NEGATIVE = 0x40;

export class CopyRows {
  readonly #kinds: readonly FloorKind[];
  #out: Buffer;
  used = 0;

  constructor(columns: readonly FloorColumn[], capacity: number) {
    this.#kinds = columns.map(kindOf);
    this.#out = Buffer.allocUnsafeSlow(capacity);
    this.#out.write("PGCOPY\n\xff\r\n\0", "latin1");
    this.#out.fill(0, 11, 19);
    this.used = 19;
  }

  trailer(): void {
    this.#out[this.used++] = 255;
    this.#out[this.used++] = 255;
  }

  take(): Buffer {
    const taken = this.#out.subarray(0, this.used);
    this.#out = Buffer.allocUnsafeSlow(this.#out.length);
    this.used = 0;
    return taken;
  }

  row(b: Buffer, at: number, end: number): void {
    const kinds = this.#kinds;
    const count = kinds.length;
    const need = (end - at) * 3 + 16 * count;
    if (this.used + need > this.#out.length) {
      const grown = Buffer.allocUnsafeSlow(this.#out.length * 2);
      this.#out.copy(grown, 0, 0, this.used);
      this.#out = grown;
    }
    const d = this.#out;
    let w = this.used;
    d[w++] = count >> 8;
    d[w++] = count & 255;
    let p = at + 1 + ((count + 9) >> 3);
    for (let place = 0; place < count; place += 1) {
      const bit = place + 2;
      if ((b[at + 1 + (bit >> 3)]! & (1 << (bit & 7))) !== 0) {
        d[w] = d[w + 1] = d[w + 2] = d[w + 3] = 255;
        w += 4;
        continue;
      }
      switch (kinds[place]) {
        case "i32":
          d[w] = d[w + 1] = d[w + 2] = 0;
          d[w + 3] = 4;
          d[w + 4] = b[p + 3]!;
          d[w + 5] = b[p + 2]!;
          d[w + 6] = b[p + 1]!;
          d[w + 7] = b[p]!;
          w += 8;
          p += 4;
          break;
        case "i64":
        case "f64":
          d[w] = d[w + 1] = d[w + 2] = 0;
          d[w + 3] = 8;
          w += 4;
          for (let byte = 7; byte >= 0; byte -= 1) d[w++] = b[p + byte]!;
          p += 8;
          break;
        case "bool":
          d[w] = d[w + 1] = d[w + 2] = 0;
          d[w + 3] = 1;
          d[w + 4] = b[p] === 0 ? 0 : 1;
          w += 5;
          p += 1;
          break;
        case "date": {
          const length = b[p++]!;
          const value = days(b[p]! | (b[p + 1]! << 8), b[p + 2]!, b[p + 3]!) - DAYS_TO_2000;
          p += length;
          d[w] = d[w + 1] = d[w + 2] = 0;
          d[w + 3] = 4;
          d[w + 4] = value >> 24;
          d[w + 5] = value >> 16;
          d[w + 6] = value >> 8;
          d[w + 7] = value;
          w += 8;
          break;
        }
        case "timestamp": {
          const length = b[p++]!;
          let value = (days(b[p]! | (b[p + 1]! << 8), b[p + 2]!, b[p + 3]!) - DAYS_TO_2000) * 86_400;
          if (length > 4) value += b[p + 4]! * 3_600 + b[p + 5]! * 60 + b[p + 6]!;
          value *= 1e6;
          if (length > 7) value += b[p + 7]! | (b[p + 8]! << 8) | (b[p + 9]! << 16) | (b[p + 10]! << 24);
          p += length;
          const high = Math.floor(value / TWO_32);
          const low = value - high * TWO_32;
          d[w] = d[w + 1] = d[w + 2] = 0;
          d[w + 3] = 8;
          d[w + 4] = high >> 24;
          d[w + 5] = high >> 16;
          d[w + 6] = high >> 8;
          d[w + 7] = high;
          d[w + 8] = low >>> 24;
          d[w + 9] = low >>> 16;
          d[w + 10] = low >>> 8;
          d[w + 11] = low;
          w += 12;
          break;
        }
        case "decimal": {
          const stop = p + 1 + b[p]!;
          w = numeric(b, p + 1, stop, d, w);
          p = stop;
          break;
        }
        default: {
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
          d[w] = 0;
          d[w + 1] = length >> 16;
          d[w + 2] = length >> 8;
          d[w + 3] = length;
          w += 4;
          if (length < 48) for (const stop = p + length; p < stop; ) d[w++] = b[p++]!;
          else {
            b.copy(d, w, p, p + length);
            w += length;
            p += length;
          }
        }
      }
    }
    this.used = w;
  }
}

/** ASCII digits as PostgreSQL's numeric of base 10,000; answers where it ends. */
const numeric = (b: Buffer, from: number, end: number, d: Buffer, w: number): number => {
  const negative = b[from] === 45;
  const start = negative ? from + 1 : from;
  let dot = start;
  while (dot < end && b[dot] !== 46) dot += 1;
  const whole = dot - start;
  const places = Math.max(0, end - dot - 1);
  const wholeGroups = (whole + 3) >> 2;
  const placeGroups = (places + 3) >> 2;
  let out = w + 12;
  let weight = wholeGroups - 1;
  let digits = 0;
  let isLeading = true;
  const put = (value: number): void => {
    if (isLeading && value === 0) {
      weight -= 1;
      return;
    }
    isLeading = false;
    d[out++] = value >> 8;
    d[out++] = value;
    digits += 1;
  };
  let at = start;
  let take = whole - (wholeGroups - 1) * 4;
  for (let group = 0; group < wholeGroups; group += 1) {
    let value = 0;
    for (let digit = 0; digit < take; digit += 1) value = value * 10 + b[at++]! - 48;
    take = 4;
    put(value);
  }
  at = dot + 1;
  for (let group = 0; group < placeGroups; group += 1) {
    let value = 0;
    for (let digit = 0; digit < 4; digit += 1) value = value * 10 + (at < end ? b[at++]! - 48 : 0);
    put(value);
  }
  const length = 8 + digits * 2;
  d[w] = d[w + 1] = 0;
  d[w + 2] = length >> 8;
  d[w + 3] = length;
  d[w + 4] = digits >> 8;
  d[w + 5] = digits;
  const shownWeight = digits === 0 ? 0 : weight;
  d[w + 6] = shownWeight >> 8;
  d[w + 7] = shownWeight;
  d[w + 8] = negative && digits > 0 ? NUMERIC_NEGATIVE : 0;
  d[w + 9] = 0;
  d[w + 10] = places >> 8;
  d[w + 11] = places;
  return out;
};
