// Helpers for configuration schemas: fields whose values are secrets.

import { z } from "zod";

/** A secret field: write-only in the API, encrypted in the store, masked in logs and catalogue. A definition may give `{ env: NAME }` or `{ file: PATH }` instead. */
export const secret = (description = "Secret; write a value, { env: NAME } or { file: PATH }"): z.ZodString =>
  z.string().meta({ secret: true, description });

/** Several secrets by name, each a value or a reference; or one reference to the JSON of them all. */
export const secrets = (description: string): z.ZodUnion<readonly [z.ZodString, z.ZodRecord<z.ZodString, z.ZodString>]> =>
  z.union([z.string(), z.record(z.string(), z.string())]).meta({ secret: true, description });

/** Whether a field (optional or not, with default or not) was made with `secret()`. */
export const isSecret = (schema: z.core.$ZodType): boolean => {
  let current: z.core.$ZodType | undefined = schema;
  while (current !== undefined) {
    if (z.globalRegistry.get(current)?.["secret"] === true) return true;
    current = "innerType" in current._zod.def ? (current._zod.def.innerType as z.core.$ZodType) : undefined;
  }
  return false;
};

/** Names of the fields of a configuration that hold secrets. */
export const secretKeys = (config: z.ZodObject): readonly string[] =>
  Object.entries(config.shape).flatMap(([key, schema]) => (isSecret(schema) ? [key] : []));

/** Stands in for a secret's value where only the shape is checked: a reference is resolved on the worker. */
export const SECRET_PLACEHOLDER = "reference";
