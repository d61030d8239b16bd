// The first record of a CSV file: the names, or at least the number, of its columns.

import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { DownbeatError } from "../../../core/errors.ts";

const MOST_BYTES = 1024 * 1024;

export interface FirstRecord {
  readonly fields: readonly string[];
  /** Empty lines before it. */
  readonly emptyLines: number;
}

/** Undefined: the file has no record at all. */
export const firstRecord = async (file: string, name: string, delimiter: string): Promise<FirstRecord | undefined> => {
  await using handle = await open(file, "r");
  const buffer = Buffer.alloc(MOST_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, MOST_BYTES, 0);
  const whole = buffer.toString("utf8", 0, bytesRead).replace(/^\uFEFF/, "");
  if (whole.trim() === "") return undefined;
  const [leading = ""] = /^[\r\n]*/.exec(whole) ?? [];
  const text = whole.slice(leading.length);
  const record = parseRecord(text, delimiter, bytesRead < MOST_BYTES);
  if (record === undefined)
    throw new DownbeatError(
      "SOURCE_FILE_BROKEN",
      `${name} is not a readable CSV file: its first record has no end within ${MOST_BYTES} bytes`,
    );
  if (record.text.includes("\uFFFD") && !isUtf8(buffer.subarray(0, bytesRead)))
    throw new DownbeatError("SOURCE_FILE_BROKEN", `${name} is not a readable CSV file: its first record is not UTF-8`);
  return { fields: record.fields, emptyLines: leading.match(/\r\n|\r|\n/g)?.length ?? 0 };
};

const parseRecord = (
  text: string,
  delimiter: string,
  isWhole: boolean,
): { readonly fields: readonly string[]; readonly text: string } | undefined => {
  const fields: string[] = [];
  let field = "";
  let isQuoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const character = text[place] ?? "";
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[place + 1] === '"') {
        field += '"';
        place += 1;
      } else isQuoted = false;
    } else if (character === '"' && field === "") isQuoted = true;
    else if (character === delimiter) {
      fields.push(field);
      field = "";
    } else if (character === "\n" || character === "\r") return { fields: [...fields, field], text: text.slice(0, place) };
    else field += character;
  }
  return isWhole && !isQuoted ? { fields: [...fields, field], text } : undefined;
};
