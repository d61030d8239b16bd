// Tables of keys from JSON Schemas: one for a map, and one for each map inside it.

import { table } from "./markdown.ts";

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  /** Of a map with any keys. */
  readonly additionalProperties?: JsonSchema | false;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
  readonly default?: unknown;
  readonly secret?: boolean;
  /** Ours: a duration's bounds. */
  readonly duration?: { readonly least: string; readonly most: string };
}

const ANYTHING = "any JSON";

const boundsText = ({ minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }: JsonSchema): string => {
  const [least, most] = [minimum > Number.MIN_SAFE_INTEGER, maximum < Number.MAX_SAFE_INTEGER];
  if (least && most) return `, ${minimum} to ${maximum}`;
  return least ? `, from ${minimum}` : "";
};

/** More words than these are no help in a table. */
const MOST_WORDS = 20;

const typeText = (schema: JsonSchema): string => {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined && schema.enum.length <= MOST_WORDS) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return [...new Set(options.map(typeText))].join(" or ");
  if (schema.type === "array") return `list of ${schema.items === undefined ? "anything" : typeText(schema.items)}`;
  if (schema.type === "object" && schema.properties !== undefined) return `{ ${Object.keys(schema.properties).join(", ")} }`;
  if (typeof schema.additionalProperties === "object") {
    const inner = typeText(schema.additionalProperties);
    return inner === ANYTHING ? "map" : `map of ${inner}`;
  }
  if (schema.duration !== undefined) return `duration, ${schema.duration.least} to ${schema.duration.most}`;
  return typeof schema.type === "string" ? `${schema.type}${boundsText(schema)}` : ANYTHING;
};

export const keyRows = (schema: JsonSchema): readonly (readonly string[])[] =>
  Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const standard =
      property.default === undefined ? (schema.required?.includes(key) ? "required" : "") : `\`${JSON.stringify(property.default)}\``;
    const secret = property.secret === true ? "**secret** · " : "";
    return [`\`${key}\``, typeText(property), standard, `${secret}${property.description ?? ""}`];
  });

export const KEY_HEADER = ["key", "type", "default", "meaning"] as const;

export const keyTable = (schema: JsonSchema): string =>
  Object.keys(schema.properties ?? {}).length === 0 ? "None." : table(KEY_HEADER, keyRows(schema));

/** The maps that a value may be or hold, whether they have names of their own or not. */
const mapsIn = (schema: JsonSchema): readonly JsonSchema[] => {
  const inner = [...(schema.anyOf ?? schema.oneOf ?? []), ...(schema.items === undefined ? [] : [schema.items])];
  if (typeof schema.additionalProperties === "object") inner.push(schema.additionalProperties);
  return schema.properties === undefined ? inner.flatMap(mapsIn) : [schema];
};

/** Of several that a value may be, all keys together; required is what all of them require. */
const merged = (maps: readonly JsonSchema[]): JsonSchema => ({
  properties: Object.assign({}, ...maps.map(({ properties }) => properties)) as Readonly<Record<string, JsonSchema>>,
  required: (maps[0]?.required ?? []).filter((key) => maps.every(({ required = [] }) => required.includes(key))),
});

/** A headed table for each map inside, named by its way from the outermost one, each followed by its own; those with the same keys once. */
export const innerTables = (
  schema: JsonSchema,
  way: readonly string[],
  skips: readonly string[] = [],
  shown = new Set<string>(),
): readonly string[] =>
  Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const maps = skips.includes(key) ? [] : mapsIn(property);
    const inside = merged(maps);
    const keys = keyTable(inside);
    if (maps.length === 0 || shown.has(keys)) return [];
    shown.add(keys);
    const path = [...way, key];
    return [`### ${path.join(".")}`, keys, ...innerTables(inside, path, [], shown)];
  });
