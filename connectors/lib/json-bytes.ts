// Where values begin and end in a JSON text's bytes. Nothing is parsed here: what is not as simple as it can be is told by `UNUSUAL`.

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const MINUS = 0x2d;
export const POINT = 0x2e;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
const OPEN_LIST = 0x5b;
export const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
export const OPEN = 0x7b;
export const CLOSE = 0x7d;
export const SPACE = 0x20;

/** What is not there to be taken: the row is for the slow way, which also knows the reason where it is at fault. */
export const UNUSUAL = -1;

export const skipSpace = (bytes: Buffer, from: number): number => {
  let at = from;
  for (let byte = bytes[at]; byte === SPACE || byte === 10 || byte === 13 || byte === 9; byte = bytes[at]) at += 1;
  return at;
};

/** The place of the closing quote of a string whose opening one lies before `from`. */
export const plainEnd = (bytes: Buffer, from: number): number => {
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH || byte < SPACE) return UNUSUAL;
  }
  return UNUSUAL;
};

export const escapedEnd = (bytes: Buffer, from: number): number => {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === QUOTE) return at;
    if (bytes[at] === BACKSLASH) at += 1;
  }
  return UNUSUAL;
};

/** The place behind an object or a list, whose inside is not looked at. */
export const nestedEnd = (bytes: Buffer, from: number): number => {
  let depth = 0;
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = escapedEnd(bytes, at + 1);
      if (at === UNUSUAL) return UNUSUAL;
    } else if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE || byte === CLOSE_LIST) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return UNUSUAL;
};

/** The place behind a number or a word, which a comma, a bracket or a space ends. */
export const bareEnd = (bytes: Buffer, from: number): number => {
  let at = from;
  for (let byte = bytes[at]; byte !== undefined && byte > SPACE && byte !== COMMA && byte !== CLOSE; byte = bytes[at]) at += 1;
  return at;
};

export const isNested = (byte: number | undefined): boolean => byte === OPEN || byte === OPEN_LIST;

export const NULL = Buffer.from("null");
export const TRUE = Buffer.from("true");
export const FALSE = Buffer.from("false");

export const isWord = (bytes: Buffer, from: number, end: number, word: Buffer): boolean => {
  if (end - from !== word.length) return false;
  for (let at = 0; at < word.length; at += 1) if (bytes[from + at] !== word[at]) return false;
  return true;
};
