// Settings as texts, from a URL's parameters or KEY=VALUE, made into the values that a connector's schemas expect.

import type { Catalogue } from "../../connectors/catalogue.ts";
import type { ConnectorSpec } from "../../connectors/connector.ts";
import { didYouMean } from "../../core/issues.ts";

export interface TypedSettings {
  readonly config: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly faults: readonly string[];
}

type JsonSchema = Readonly<Record<string, unknown>>;

/** A key is one of the connection's configuration, or of the options that the connector has in this role. The last of equal ones counts. */
export const typedSettings = (
  spec: ConnectorSpec,
  role: "source" | "destination",
  settings: readonly (readonly [key: string, value: string])[],
  catalogue: Pick<Catalogue, "describe">,
): TypedSettings => {
  const described = catalogue.describe().find(({ kind }) => kind === spec.kind);
  const configKeys = propertiesOf(described?.config);
  const optionKeys = propertiesOf(role === "source" ? described?.source_options : described?.target_options);
  const config: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [key, text] of settings) {
    if (Object.hasOwn(configKeys, key)) config[key] = typed(configKeys[key], text);
    else if (Object.hasOwn(optionKeys, key)) options[key] = typed(optionKeys[key], text);
    else {
      const known = [...Object.keys(configKeys), ...Object.keys(optionKeys)];
      const meant = didYouMean(key, known);
      faults.push(`"${key}" is no setting of ${spec.title}${meant.includes("known:") ? "" : meant}; known: ${known.join(", ")}`);
    }
  }
  return { config, options, faults };
};

const propertiesOf = (schema: JsonSchema | undefined): Readonly<Record<string, JsonSchema>> =>
  (schema?.["properties"] ?? {}) as Readonly<Record<string, JsonSchema>>;

/** What is not of the type stays a text, and the schema says what it should have been. */
const typed = (schema: JsonSchema | undefined, text: string): unknown => {
  switch (schema?.["type"]) {
    case "boolean":
      return text === "true" || text === "1" || text === "" ? true : text === "false" || text === "0" ? false : text;
    case "number":
    case "integer":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "string":
      return text;
    case "array":
      return text.startsWith("[") ? parsed(text) : text.split(",").map((entry) => entry.trim());
    default:
      return parsed(text);
  }
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
};
