// Puts secrets into a tap's configuration, each at its place.

import { DownbeatError } from "../../../core/errors.ts";
import type { Json, JsonObject } from "../../../core/json.ts";

export interface GivenConfig {
  readonly config: JsonObject;
  /** Place → value, or the JSON text of such an object. */
  readonly secrets: string | Readonly<Record<string, string>>;
}

export interface MergedConfig {
  readonly config: JsonObject;
  /** The secrets' values alone, to be kept out of logs. */
  readonly secrets: readonly string[];
}

/** A place is a dotted path, as "credentials.password" or "hosts.0.key". Throws CONNECTION_INVALID. */
export const mergedConfig = ({ config, secrets: given }: GivenConfig): MergedConfig => {
  const secrets = typeof given === "string" ? parseSecrets(given) : given;
  const merged = Object.entries(secrets).reduce<JsonObject>(
    (whole, [place, value]) => withValue(whole, place.split("."), value) as JsonObject,
    config,
  );
  return { config: merged, secrets: Object.values(secrets) };
};

const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

const parseSecrets = (text: string): Readonly<Record<string, string>> => {
  const isFit = (value: unknown): value is Readonly<Record<string, string>> =>
    isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
  try {
    const value: unknown = JSON.parse(text);
    if (isFit(value)) return value;
  } catch {
    // What cannot be read is not shown: it is secret.
  }
  throw new DownbeatError("CONNECTION_INVALID", 'secrets leads to a text that is no JSON object of texts, such as {"api_key": "…"}');
};

const withValue = (value: Json | undefined, [key, ...rest]: readonly string[], secret: string): Json => {
  if (key === undefined) return secret;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    const place = Number(key);
    if (Number.isInteger(place) && place >= 0 && place <= list.length)
      return [...list.slice(0, place), withValue(list[place], rest, secret), ...list.slice(place + 1)];
  }
  const object = isObject(value) ? value : {};
  return { ...object, [key]: withValue(Object.hasOwn(object, key) ? object[key] : undefined, rest, secret) };
};
