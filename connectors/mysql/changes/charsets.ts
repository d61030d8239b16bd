// Texts in the log are in their column's own character set; results of queries are in UTF-8 already.

import type { MysqlClient } from "../client.ts";

/** Undefined: the bytes are UTF-8 as they are. */
export type Transcode = ((bytes: Uint8Array) => string) | undefined;

const UTF8 = new Set(["utf8mb4", "utf8mb3", "utf8", "ascii"]);

/** Labels of https://encoding.spec.whatwg.org/; MySQL's latin1 is windows-1252. */
const LABELS: Readonly<Record<string, string>> = {
  latin1: "windows-1252",
  latin2: "iso-8859-2",
  latin5: "iso-8859-9",
  latin7: "iso-8859-13",
  greek: "iso-8859-7",
  hebrew: "iso-8859-8",
  tis620: "windows-874",
  cp1250: "windows-1250",
  cp1251: "windows-1251",
  cp1256: "windows-1256",
  cp1257: "windows-1257",
  koi8r: "koi8-r",
  koi8u: "koi8-u",
  ucs2: "utf-16be",
  utf16: "utf-16be",
  utf16le: "utf-16le",
  big5: "big5",
  gbk: "gbk",
  gb2312: "gb18030",
  gb18030: "gb18030",
  sjis: "shift_jis",
  cp932: "shift_jis",
  ujis: "euc-jp",
  eucjpms: "euc-jp",
  euckr: "euc-kr",
};

export const BINARY_COLLATION = 63;

/** Names of character sets by the numbers of their collations, as this server has them. */
export const readCharsets = async (client: MysqlClient): Promise<ReadonlyMap<number, string>> => {
  const rows = await client.query("select id as id, character_set_name as name from information_schema.collations where id is not null");
  return new Map(rows.map((row) => [Number(row["id"]), String(row["name"])]));
};

/** What makes UTF-8 of a character set's text; `null` where we cannot. */
export const transcodeFrom = (charset: string): Transcode | null => {
  if (UTF8.has(charset)) return undefined;
  const label = LABELS[charset];
  if (label === undefined) return null;
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return (bytes) => decoder.decode(bytes);
};
