// JSON text ↔ JavaScript values without losing digits: integers beyond 2^53 are bigint, other numbers beyond a double keep their text.

/** A number's own text. `JSON.stringify` writes it as it is. */
export interface RawNumber {
  readonly rawJSON: string;
}

// ECMAScript's JSON.parse source text access, which the compiler's library does not know yet.
const native = JSON as unknown as { rawJSON(text: string): RawNumber; isRawJSON(value: unknown): value is RawNumber };

export const isRawNumber = (value: unknown): value is RawNumber => native.isRawJSON(value);

const MAY_LOSE_DIGITS = /\d{16}|\d\.\d{15}|[eE]\+?\d{3}/;

const withoutTrailingZeros = (text: string): string => (/\.\d*$/.test(text) ? text.replace(/\.?0+$/, "") : text);

const keepDigits = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined) return value;
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  if (!Number.isFinite(value)) return native.rawJSON(source);
  const digits = source
    .replace(/[eE].*$/, "")
    .replace(/\D/g, "")
    .replace(/^0+/, "");
  return digits.length > 15 && String(value) !== withoutTrailingZeros(source) ? native.rawJSON(source) : value;
};

export const parseJson = (text: string): unknown => (MAY_LOSE_DIGITS.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text));

/** The row that the text holds, or why it holds none. */
export const parseObject = (text: string): Readonly<Record<string, unknown>> | string => {
  try {
    const value = parseJson(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value)
      ? (value as Readonly<Record<string, unknown>>)
      : "is not a JSON object";
  } catch (error) {
    return `is not valid JSON: ${faultOf(error instanceof Error ? error.message : String(error))}`;
  }
};

/** One reason for each kind of fault, so that they can be counted by it: the parser's own quotes the text, or tells the place in it. */
const faultOf = (message: string): string =>
  message.endsWith(" is not valid JSON") ? "Unexpected token" : message.replace(/(?: in JSON)? at position \d+.*$/s, "");

/** The reverse of `parseJson`: bigint becomes the number that it is. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? native.rawJSON(part.toString()) : part)) ?? "null";

/** Values that plain JSON cannot hold exactly as text: what API answers and outputs take. */
export const plainJson = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? part.toString() : isRawNumber(part) ? part.rawJSON : part)) ??
  "null";
