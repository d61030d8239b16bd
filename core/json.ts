// The type of everything that travels: plain JSON.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Size of a value as JSON text in UTF-8. */
export const jsonBytes = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;

const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, entry]) => [key, canonical(entry)]),
  );
};

/** A value's JSON, the same whatever the order of its keys. */
export const canonicalText = (value: unknown): string => JSON.stringify(canonical(value));

/** PostgreSQL's JSON takes neither NUL nor half a surrogate pair: U+FFFD stands for them. */
export const storableText = (text: string): string => text.replaceAll("\0", "\uFFFD").toWellFormed();

const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** The value with its texts and keys storable; `text` is its JSON. */
export const storable = (value: Json, text: string): Json => (UNSTORABLE.test(text) ? cleaned(value) : value);

const cleaned = (value: Json): Json => {
  if (typeof value === "string") return storableText(value);
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map(cleaned);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [storableText(key), cleaned(entry)]));
};

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
