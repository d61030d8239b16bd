// Column types as text, as definitions write them: "int64", "decimal(12,2)".

import { z } from "zod";
import type { Column, ColumnType } from "../batch.ts";

const SIMPLE = [
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

/** "int64", "decimal(12,2)", …; undefined for anything else. */
export const parseColumnType = (text: string): ColumnType | undefined => {
  const decimal = /^decimal\((\d{1,3}),\s*(\d{1,3})\)$/.exec(text);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    return precision >= 1 && scale <= precision ? { kind: "decimal", precision, scale } : undefined;
  }
  const kind = SIMPLE.find((candidate) => candidate === text);
  return kind === undefined ? undefined : { kind };
};

/** `columns` of a source's options: names and types as text. */
export const declaredColumns = (example: string): z.ZodType<readonly Column[], Readonly<Record<string, string>>> =>
  z
    .record(
      z.string(),
      z.string().refine((text) => parseColumnType(text) !== undefined, `is no column type; write ${example}, …`),
    )
    .refine((types) => Object.keys(types).length > 0, "names no column")
    .transform((types): readonly Column[] =>
      Object.entries(types).flatMap(([name, text]) => {
        const type = parseColumnType(text);
        return type === undefined ? [] : [{ name, type, nullable: true }];
      }),
    );
