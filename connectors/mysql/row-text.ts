// A row of the binary protocol as text by column, for dead letters: slow and only for rows that cannot be carried.

import { lengthEncoded } from "./column-definition.ts";
import type { Decoding, ResultColumn } from "./types.ts";

/** Values longer than this are cut: the whole row should be seen. */
const LONGEST = 4_000;

export const rowAsText = (columns: readonly ResultColumn[], bytes: Buffer, start: number): Readonly<Record<string, string | null>> => {
  let at = start + 1 + ((columns.length + 9) >> 3);
  return Object.fromEntries(
    columns.map(({ column, decoding }, place) => {
      const bit = place + 2;
      if ((bytes[start + 1 + (bit >> 3)]! & (1 << (bit & 7))) !== 0) return [column.name, null];
      const { text, end } = valueAsText(decoding, column.type.kind, bytes, at);
      at = end;
      return [column.name, text.slice(0, LONGEST)];
    }),
  );
};

const valueAsText = (decoding: Decoding, kind: string, bytes: Buffer, at: number): { readonly text: string; readonly end: number } => {
  switch (decoding) {
    case "tinyBool":
    case "tinySigned":
      return { text: String(bytes.readInt8(at)), end: at + 1 };
    case "tinyUnsigned":
      return { text: String(bytes[at]), end: at + 1 };
    case "shortSigned":
      return { text: String(bytes.readInt16LE(at)), end: at + 2 };
    case "shortUnsigned":
      return { text: String(bytes.readUInt16LE(at)), end: at + 2 };
    case "word":
      return { text: String(kind === "float32" ? bytes.readFloatLE(at) : bytes.readInt32LE(at)), end: at + 4 };
    case "unsignedWord":
      return { text: String(bytes.readUInt32LE(at)), end: at + 4 };
    case "twoWords": {
      const value = kind === "float64" ? bytes.readDoubleLE(at) : kind === "uint64" ? bytes.readBigUInt64LE(at) : bytes.readBigInt64LE(at);
      return { text: String(value), end: at + 8 };
    }
    case "date":
    case "datetime":
      return { text: dateText(bytes, at), end: at + 1 + bytes[at]! };
    case "time":
      return { text: timeText(bytes, at), end: at + 1 + bytes[at]! };
    case "bitBool":
    case "bits":
      return { text: String(BigInt(`0x${bytes.toString("hex", at + 1, at + 1 + bytes[at]!)}`)), end: at + 1 + bytes[at]! };
    case "scaledDecimal":
    case "textDecimal":
    case "text": {
      const { value: length, end } = lengthEncoded(bytes, at);
      const shown = Math.min(length, LONGEST);
      return { text: bytes.toString(kind === "binary" ? "base64" : "utf8", end, end + shown), end: end + length };
    }
  }
};

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

const dateText = (bytes: Buffer, at: number): string => {
  const length = bytes[at]!;
  if (length < 4) return "0000-00-00";
  const date = `${pad(bytes.readUInt16LE(at + 1), 4)}-${pad(bytes[at + 3]!)}-${pad(bytes[at + 4]!)}`;
  if (length < 7) return date;
  const micros = length < 11 ? "" : `.${pad(bytes.readUInt32LE(at + 8), 6)}`;
  return `${date} ${pad(bytes[at + 5]!)}:${pad(bytes[at + 6]!)}:${pad(bytes[at + 7]!)}${micros}`;
};

const timeText = (bytes: Buffer, at: number): string => {
  const length = bytes[at]!;
  if (length < 8) return "00:00:00";
  const hours = bytes.readUInt32LE(at + 2) * 24 + bytes[at + 6]!;
  const micros = length < 12 ? "" : `.${pad(bytes.readUInt32LE(at + 9), 6)}`;
  return `${bytes[at + 1] === 1 ? "-" : ""}${pad(hours)}:${pad(bytes[at + 7]!)}:${pad(bytes[at + 8]!)}${micros}`;
};
