// One end of a copy: a URL, a path or a file of configuration, made into a connector's configuration and options.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { isReference } from "../../activities/connections.ts";
import type { Catalogue } from "../../connectors/catalogue.ts";
import type { ConnectorSpec } from "../../connectors/connector.ts";
import type { NamedEnd } from "../../connectors/connector-url.ts";
import { SECRET_PLACEHOLDER, secretKeys } from "../../connectors/lib/config.ts";
import { didYouMean } from "../../core/issues.ts";
import { canonicalText, type JsonObject } from "../../core/json.ts";
import { type EndArguments, withoutPassword } from "./arguments.ts";
import { typedSettings } from "./settings.ts";

export type EndRole = "source" | "destination";

export interface End {
  readonly spec: ConnectorSpec;
  /** Secrets may still be references. */
  readonly config: JsonObject;
  /** Checked by the connector's schema for this role. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What the URL itself says is to be read. */
  readonly stream: string | undefined;
  /** Names the system for bookkeeping and messages. */
  readonly place: string;
  /** The same with what the URL says is to be read, for people. */
  readonly shown: string;
  /** A secret stands in the command line itself. */
  readonly hasOpenSecret: boolean;
}

export interface EndDeps {
  readonly catalogue: Catalogue;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly baseDir: string;
}

interface Found extends NamedEnd {
  readonly spec: ConnectorSpec;
  /** Keys behind "?". */
  readonly parameters: readonly (readonly [string, string])[];
}

export interface ResolvedEnd {
  /** Undefined: there are faults, or it is not given at all. */
  readonly end?: End;
  readonly faults: readonly string[];
}

export const resolveEnd = (role: EndRole, args: EndArguments, deps: EndDeps): ResolvedEnd => {
  if (args.url === undefined && args.configFile === undefined) return { faults: [] };
  const title = titleOf(role, args);
  const found = args.configFile === undefined ? fromUrl(role, args.url ?? "", deps) : fromFile(args.configFile, deps);
  if (typeof found === "string") return { faults: [`${title}: ${found}`] };
  const { spec } = found;
  if (!spec.roles.includes(role)) {
    const able = endsOf(role, deps.catalogue).map(({ url }) => `${url.schemes[0]}://…`);
    return { faults: [`${title}: ${spec.title} is no ${role} of a copy; these are: ${able.join(", ")}`] };
  }
  const settings = typedSettings(spec, role, [...found.parameters, ...args.options], deps.catalogue);
  const password = passwordOf(role, args, spec, deps);
  const config = withEnvironment(spec, { ...found.config, ...settings.config, ...password.config }, deps.env);
  const faults = [...settings.faults, ...password.faults, ...configFaults(spec, config, args)];
  const options = optionsOf(spec, role)?.safeParse({ ...found.options, ...settings.options });
  if (options?.success === false) faults.push(...options.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  if (faults.length > 0) return { faults: faults.map((fault) => `${title}: ${fault}`) };
  const { stream, place } = found;
  const shown = stream === undefined ? place : `${place}/${stream.replace(/^\//, "")}`;
  const written = { ...(args.configFile === undefined ? found.config : {}), ...settings.config };
  const hasOpenSecret = secretKeys(spec.config).some((key) => written[key] !== undefined);
  return { end: { spec, config: config as JsonObject, options: options?.data ?? {}, stream, place, shown, hasOpenSecret }, faults };
};

const titleOf = (role: EndRole, { url, configFile }: EndArguments): string =>
  configFile === undefined
    ? `${role.toUpperCase()} ${withoutPassword(url ?? "").replace(/\?.*/s, "")}`
    : `${role === "source" ? "--from-config" : "--to-config"} ${configFile}`;

export const optionsOf = (spec: ConnectorSpec, role: EndRole): ConnectorSpec["sourceOptions"] =>
  role === "source" ? spec.sourceOptions : spec.targetOptions;

type Addressable = ConnectorSpec & { readonly url: NonNullable<ConnectorSpec["url"]> };

/** Connectors that can be that end and have URLs. */
export const endsOf = (role: EndRole, catalogue: Catalogue): readonly Addressable[] =>
  catalogue.kinds
    .map((kind) => catalogue.find(kind))
    .filter((spec): spec is Addressable => spec?.url !== undefined && spec.roles.includes(role));

/** A path without a scheme is a file, unless its ending says otherwise. */
const PLAIN_SCHEME = "file";

const fromUrl = (role: EndRole, text: string, { catalogue, baseDir }: EndDeps): Found | string => {
  const addressable = catalogue.kinds.map((kind) => catalogue.find(kind)).filter((spec): spec is Addressable => spec?.url !== undefined);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  const byEnding = scheme === undefined ? addressable.find(({ url }) => url.endings?.some((ending) => text.endsWith(ending))) : undefined;
  const spec = byEnding ?? addressable.find(({ url }) => url.schemes.includes(scheme ?? PLAIN_SCHEME));
  if (spec === undefined) {
    const known = addressable.flatMap(({ url }) => url.schemes);
    return `no connector knows ${scheme}://${didYouMean(scheme ?? "", known)}${known.length > 12 ? `; known: ${known.join(", ")}` : ""}`;
  }
  const isWhole = scheme === undefined || spec.url.keepsQuery === true;
  const [, address = text, query = ""] = isWhole ? [] : (/^([^?]*)\??(.*)$/s.exec(text) ?? []);
  const end = spec.url.read(address, { role, baseDir });
  return typeof end === "string" ? end : { ...end, spec, parameters: [...new URLSearchParams(query)] };
};

const fromFile = (file: string, { catalogue, baseDir }: EndDeps): Found | string => {
  let content: unknown;
  try {
    content = parse(readFileSync(path.resolve(baseDir, file), "utf8"));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { kind, config = {} } = (typeof content === "object" && content !== null ? content : {}) as { kind?: unknown; config?: unknown };
  if (typeof kind !== "string" || typeof config !== "object" || config === null || Array.isArray(config))
    return 'it must have a kind and a config, as in PUT /v1/connections/NAME: {"kind": "mysql", "config": {"host": …}}';
  const spec = catalogue.find(kind);
  if (spec === undefined) return `there is no connector of the kind "${kind}"${didYouMean(kind, catalogue.kinds)}`;
  const secrets = new Set(secretKeys(spec.config));
  const open = Object.entries(config).filter(([key]) => !secrets.has(key));
  const digest = createHash("sha256")
    .update(canonicalText(Object.fromEntries(open)))
    .digest("hex")
    .slice(0, 12);
  return { spec, config: config as Readonly<Record<string, unknown>>, parameters: [], place: `${kind}:${digest}` };
};

interface Part {
  readonly config: Readonly<Record<string, unknown>>;
  readonly faults: readonly string[];
}

const passwordOf = (role: EndRole, { passwordEnv: name }: EndArguments, spec: ConnectorSpec, { env }: EndDeps): Part => {
  if (name === undefined) return { config: {}, faults: [] };
  const option = role === "source" ? "--from-password-env" : "--to-password-env";
  if (!("password" in spec.config.shape)) {
    const secrets = secretKeys(spec.config);
    const instead = secrets.length === 0 ? "" : `; its secrets are ${secrets.join(", ")}, which a file of configuration can refer to`;
    return { config: {}, faults: [`${option}: ${spec.title} has no password${instead}`] };
  }
  const password = env[name];
  if (password) return { config: { password }, faults: [] };
  return { config: {}, faults: [`${option}: the variable ${name} is not set`] };
};

const withEnvironment = (
  { url }: ConnectorSpec,
  config: Readonly<Record<string, unknown>>,
  env: EndDeps["env"],
): Readonly<Record<string, unknown>> => {
  const filled = Object.entries(url?.environment ?? {}).flatMap(([key, names]) => {
    const value = names.map((name) => env[name]).find((text) => text !== undefined && text !== "");
    return config[key] === undefined && value !== undefined ? [[key, value] as const] : [];
  });
  return { ...config, ...Object.fromEntries(filled) };
};

/** References stand for any text: they are resolved when the connection is opened. */
const configFaults = (spec: ConnectorSpec, config: Readonly<Record<string, unknown>>, { url }: EndArguments): readonly string[] => {
  const shown = Object.entries(config).map(([key, value]) => [key, isReference(value) ? SECRET_PLACEHOLDER : value]);
  const parsed = spec.config.safeParse(Object.fromEntries(shown));
  if (parsed.success) return [];
  return parsed.error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => `"${key}" is not a key of ${spec.title}${didYouMean(key, Object.keys(spec.config.shape))}`);
    const [key = ""] = issue.path.map(String);
    const how = url === undefined || spec.url === undefined ? "" : `; write ${spec.url.example}`;
    return [config[key] === undefined ? `${key} is missing${how}` : `${issue.path.join(".")}: ${issue.message}`];
  });
};
