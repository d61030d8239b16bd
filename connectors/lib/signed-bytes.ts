// Integers of any size as bytes, as decimals are written.

/** Two's complement, the first byte is the highest. */
export const signedOf = (bytes: Buffer): bigint =>
  bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
