// The names of column types, as definitions write them: "int64", "decimal(12,2)".

export const SIMPLE_TYPES = [
  "bool",
  "int32",
  "int64",
  "uint64",
  "float32",
  "float64",
  "string",
  "binary",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "json",
  "uuid",
] as const;

/** Digits in all and behind the point; undefined where the text is no decimal that can be. */
export const decimalOf = (text: string): { readonly precision: number; readonly scale: number } | undefined => {
  const found = /^decimal\((\d{1,3}),\s*(\d{1,3})\)$/.exec(text);
  if (found === null) return undefined;
  const [precision, scale] = [Number(found[1]), Number(found[2])];
  return precision >= 1 && scale <= precision ? { precision, scale } : undefined;
};

/** Behind the text that is none. */
export const NO_COLUMN_TYPE = `is no column type; write decimal(12,2) or one of ${SIMPLE_TYPES.join(", ")}`;

export const isColumnType = (text: string): boolean => SIMPLE_TYPES.some((name) => name === text) || decimalOf(text) !== undefined;
