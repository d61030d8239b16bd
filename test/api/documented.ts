// Compares answers with what the OpenAPI document says of them: every key, no other.

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { openApiDocument, pathTemplate } from "../../api/openapi.ts";
import type { Answer } from "./kit.ts";

type Schema = Readonly<Record<string, unknown>>;

/** Clients must bear keys that they do not know; the document must not lack any. */
const closed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, entry]) => [key, closed(entry)]);
  const schema = Object.fromEntries(entries) as Schema;
  return "properties" in schema && !("additionalProperties" in schema) ? { ...schema, additionalProperties: false } : schema;
};

const ajv = new Ajv2020({ allErrors: true, strict: false });
ajvFormats.default(ajv);
const validators = new Map<string, ValidateFunction>();

const validatorOf = (ref: string): ValidateFunction => {
  const known = validators.get(ref);
  if (known !== undefined) return known;
  const name = ref.split("/").at(-1) ?? "";
  const { schemas } = openApiDocument()["components"] as { readonly schemas: Readonly<Record<string, Schema>> };
  const validate = ajv.compile(closed(schemas[name]) as Schema);
  validators.set(ref, validate);
  return validate;
};

interface Described {
  readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
}

/** Throws when an answer of a documented operation has a status, type or shape that the document does not give it. */
export const expectDocumented = (method: string, url: string, { status, headers, body }: Answer): void => {
  const template = pathTemplate(new URL(url, "http://localhost").pathname);
  const operation = template === undefined ? undefined : openApiDocument().paths[template]?.[method.toLowerCase()];
  const responses = (operation as { readonly responses: Readonly<Record<string, Described>> } | undefined)?.responses ?? {};
  const described = responses[status] ?? (status >= 400 ? responses["default"] : undefined);
  const what = `${method} ${url}: ${status}`;
  if (operation === undefined) return;
  if (described === undefined) throw new Error(`${what} is not documented`);
  const type = (headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (described.content === undefined && type === "") return;
  const content = described.content?.[type];
  if (content === undefined)
    throw new Error(`${what} is ${type || "empty"}, documented are ${Object.keys(described.content ?? {}).join(", ")}`);
  if (content.schema.$ref === undefined) return;
  const validate = validatorOf(content.schema.$ref);
  if (!validate(body)) throw new Error(`${what} is not as documented: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`);
};
