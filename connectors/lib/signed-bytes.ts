// Integers of any size as bytes, as decimals are written: two's complement, the first byte is the highest.

export const signedOf = (bytes: Buffer): bigint =>
  bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));

/** As few as hold it. */
export const signedBytes = (value: bigint): Buffer => {
  const bits = (value < 0n ? ~value : value).toString(2).length;
  const length = Math.floor(bits / 8) + 1;
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, "0"),
    "hex",
  );
};
