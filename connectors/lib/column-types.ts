// Column types as text, as definitions write them: "int64", "decimal(12,2)".

import { z } from "zod";
import { decimalOf, SIMPLE_TYPES } from "../../core/column-type-names.ts";
import type { Column, ColumnType } from "../batch.ts";

/** "int64", "decimal(12,2)", …; undefined for anything else. */
export const parseColumnType = (text: string): ColumnType | undefined => {
  const decimal = decimalOf(text);
  if (decimal !== undefined) return { kind: "decimal", ...decimal };
  const kind = SIMPLE_TYPES.find((candidate) => candidate === text);
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
