// Copies many short values between buffers: eight bytes at a time, since a call for each costs more than the bytes themselves.

/** Bytes and a view on exactly the same memory. */
export interface ViewedBytes {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export const viewedBytes = (bytes: Buffer): ViewedBytes => ({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) });

const WORD = 8;
/** From here on the call is quicker. */
const LONG = 320;

export const copyRange = (from: ViewedBytes, start: number, end: number, to: ViewedBytes, at: number): void => {
  const length = end - start;
  if (length < WORD) {
    const source = from.bytes;
    const target = to.bytes;
    for (let offset = 0; offset < length; offset += 1) target[at + offset] = source[start + offset]!;
    return;
  }
  if (length > LONG) {
    from.bytes.copy(to.bytes, at, start, end);
    return;
  }
  const source = from.view;
  const target = to.view;
  let read = start;
  let write = at;
  for (const last = end - WORD; read < last; read += WORD, write += WORD) target.setBigInt64(write, source.getBigInt64(read));
  // The last word ends with the value, and may overlap the one before.
  target.setBigInt64(at + length - WORD, source.getBigInt64(end - WORD));
};
