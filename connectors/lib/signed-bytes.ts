// Integers of any size as bytes, as decimals are written: two's complement, the first byte is the highest.

/** Some 2,400 digits, more than any column holds. Digits cost more than twice the time for twice as many. */
const MOST_BYTES = 1_024;

/** Throws where there are more bytes than any column could hold. */
export const signedOf = (bytes: Buffer): bigint => {
  if (bytes.length > MOST_BYTES) throw new Error(`has a number of ${bytes.length} bytes; ${MOST_BYTES} are read at most`);
  return bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
};

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
