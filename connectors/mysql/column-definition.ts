// Column definitions as the server sends them ahead of rows. https://mariadb.com/kb/en/result-set-packets/#column-definition-packet

export interface ColumnDefinition {
  readonly name: string;
  /** Type on the wire, one of `WIRE`. */
  readonly wire: number;
  /** Characters' bytes at most, digits shown, or bits: depends on the type. */
  readonly length: number;
  readonly decimals: number;
  readonly isBinary: boolean;
  readonly isNotNull: boolean;
  readonly isUnsigned: boolean;
  readonly isEnumOrSet: boolean;
  /** MariaDB's own types, which travel as text or blobs: "uuid", "inet6", "point", …; "json" for its alias of longtext. */
  readonly extended: string | undefined;
}

/** https://mariadb.com/kb/en/result-set-packets/#field-types */
export const WIRE = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

const FLAG = { notNull: 1, unsigned: 32, enum: 256, set: 2048 } as const;
const BINARY_CHARSET = 63;
/** What follows the names: the length byte 12 and twelve bytes. */
const FIXED_PART = 13;

/** A length-encoded integer at `at`: the value and where it ends. Lengths beyond 2^53 do not occur. */
export const lengthEncoded = (bytes: Buffer, at: number): { readonly value: number; readonly end: number } => {
  const first = bytes[at]!;
  if (first < 251) return { value: first, end: at + 1 };
  if (first === 252) return { value: bytes.readUInt16LE(at + 1), end: at + 3 };
  if (first === 253) return { value: bytes.readUIntLE(at + 1, 3), end: at + 4 };
  return { value: Number(bytes.readBigUInt64LE(at + 1)), end: at + 9 };
};

export const parseColumnDefinition = (bytes: Buffer, start: number, end: number): ColumnDefinition => {
  let at = start;
  const text = (): string => {
    const { value, end: from } = lengthEncoded(bytes, at);
    at = from + value;
    return bytes.toString("utf8", from, at);
  };
  // catalog, schema, table, original table
  for (let skipped = 0; skipped < 4; skipped += 1) text();
  const name = text();
  text();
  const extended = end - at > FIXED_PART ? extendedType(bytes, at) : undefined;
  const fixed = end - FIXED_PART + 1;
  const flags = bytes.readUInt16LE(fixed + 7);
  return {
    name,
    wire: bytes[fixed + 6]!,
    length: bytes.readUInt32LE(fixed + 2),
    decimals: bytes[fixed + 9]!,
    isBinary: bytes.readUInt16LE(fixed) === BINARY_CHARSET,
    isNotNull: (flags & FLAG.notNull) !== 0,
    isUnsigned: (flags & FLAG.unsigned) !== 0,
    isEnumOrSet: (flags & (FLAG.enum | FLAG.set)) !== 0,
    extended,
  };
};

/** MariaDB's extended metadata: pairs of a kind (0 type name, 1 format) and a text. */
const extendedType = (bytes: Buffer, start: number): string | undefined => {
  const block = lengthEncoded(bytes, start);
  let found: string | undefined;
  let at = block.end;
  while (at < block.end + block.value) {
    const { value, end } = lengthEncoded(bytes, at + 1);
    at = end + value;
    found = bytes.toString("latin1", end, at);
  }
  return found;
};
