// Reads the environment once: parseConfig(env) → Config, or every fault at once.

import { readFileSync } from "node:fs";
import path from "node:path";
import { DownbeatError } from "../core/errors.ts";
import { DEFAULT_QUEUE } from "../core/ids.ts";
import { parseDuration } from "../core/duration.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface TemporalConfig {
  /** Undefined: `npm start` finds or starts one; other processes need it. */
  readonly address: string | undefined;
  readonly namespace: string;
  readonly apiKey: string | undefined;
  readonly tls: boolean;
  readonly tlsFiles: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined };
  readonly uiUrl: string | undefined;
}

export interface Config {
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly apiKey: string | undefined;
  /** 32 bytes in hex; undefined: a file in the data folder is made. */
  readonly secretKey: string | undefined;
  readonly temporal: TemporalConfig;
  readonly userConfigFile: { readonly path: string; readonly isDefault: boolean };
  readonly logLevel: LogLevel;
  readonly otlpEndpoint: string | undefined;
  /** Where a worker of its own answers /metrics and /health; port 0: a free one. */
  readonly workerHost: string;
  readonly workerPort: number;
  readonly queues: readonly string[];
  readonly maxActivities: number;
  readonly maxWorkflows: number;
  /** Undefined: the worker takes every run, whichever build began it. */
  readonly buildId: string | undefined;
  /** Programs that `command` tasks may run: names on the PATH, paths, globs. */
  readonly commands: readonly string[];
  readonly images: readonly string[];
  readonly commandShell: boolean;
  readonly failpoints: string | undefined;
  readonly shutdownGraceMs: number;
  /** How long events of triggers are kept that no run is to come of any more. */
  readonly keepEventsMs: number;
}

interface Variable {
  readonly name: string;
  readonly description: string;
  readonly default?: string;
}

/** The one table of variables: `--help` and docs/reference/configuration.md come from it. */
export const VARIABLES = [
  {
    name: "DATABASE_URL",
    description: "PostgreSQL of the store, postgres://…; without it `npm start` keeps an embedded one in the data folder",
  },
  {
    name: "DOWNBEAT_DATA_DIR",
    description: "Folder of the embedded store, warehouse files and Temporal's own database",
    default: ".downbeat",
  },
  {
    name: "DOWNBEAT_HOST",
    description: "Address that the API listens on; beyond loopback it needs DOWNBEAT_API_KEY",
    default: "127.0.0.1",
  },
  { name: "DOWNBEAT_PORT", description: "Port of the API; `npm start` takes the next free one when it is taken", default: "8080" },
  { name: "DOWNBEAT_API_KEY", description: "Key that every request must bring (or DOWNBEAT_API_KEY_FILE)" },
  {
    name: "DOWNBEAT_SECRET_KEY",
    description:
      "64 hex digits that seal the secrets of connections (or DOWNBEAT_SECRET_KEY_FILE); without it a key file is made in the data folder",
  },
  { name: "TEMPORAL_ADDRESS", description: "host:port of a Temporal server; `npm start` finds or starts one without it" },
  { name: "TEMPORAL_NAMESPACE", description: "Temporal namespace", default: "default" },
  { name: "TEMPORAL_API_KEY", description: "API key of Temporal Cloud (or TEMPORAL_API_KEY_FILE)" },
  { name: "TEMPORAL_TLS", description: "true or false: speak TLS to Temporal", default: "false" },
  { name: "TEMPORAL_TLS_CA", description: "PEM file of the authority that signed the server's certificate" },
  { name: "TEMPORAL_TLS_CERT", description: "PEM file of the client certificate" },
  { name: "TEMPORAL_TLS_KEY", description: "PEM file of the client certificate's key" },
  { name: "TEMPORAL_UI_URL", description: "Where Temporal's UI answers, for links" },
  { name: "DOWNBEAT_CONFIG", description: "Module with connectors and activities of your own", default: "downbeat.config.ts" },
  { name: "DOWNBEAT_LOG_LEVEL", description: "debug, info, warn, error or silent; `npm start` begins at warn", default: "info" },
  { name: "OTEL_EXPORTER_OTLP_ENDPOINT", description: "Where traces go by OTLP; without it none are made" },
  {
    name: "DOWNBEAT_WORKER_HOST",
    description: "Address of a worker's /metrics and /health/live; beyond loopback it needs DOWNBEAT_API_KEY, which /metrics then asks for",
    default: "127.0.0.1",
  },
  { name: "DOWNBEAT_WORKER_PORT", description: "Port of a worker's /metrics and /health/live; 0 takes a free one", default: "0" },
  {
    name: "DOWNBEAT_QUEUES",
    description: "Task queues that a worker serves, such as `downbeat,gpu`; runs themselves go by `downbeat`, of which some worker must be",
    default: DEFAULT_QUEUE,
  },
  { name: "DOWNBEAT_MAX_ACTIVITIES", description: "Tasks that one worker runs at once of each of its queues", default: "100" },
  {
    name: "DOWNBEAT_MAX_WORKFLOWS",
    description: "Workflows (runs, items of a for_each, owners of pools, …) that one worker keeps in memory, 10 to 100,000",
    default: "500",
  },
  {
    name: "DOWNBEAT_BUILD_ID",
    description: "Names the build of a worker: runs then stay on the build that began them; `npm start` does without",
  },
  {
    name: "DOWNBEAT_COMMANDS",
    description:
      "Programs that `command` tasks and connections may run, such as `python3,dbt,/opt/etl/*`: names on the worker's PATH, paths, globs; without it none",
  },
  {
    name: "DOWNBEAT_IMAGES",
    description: "Container images that connections may run with docker, such as `airbyte/source-*`; without it none",
  },
  {
    name: "DOWNBEAT_COMMAND_SHELL",
    description: "true: `command` tasks may run lines in /bin/sh, and so any program",
    default: "false",
  },
  {
    name: "DOWNBEAT_KEEP_EVENTS",
    description:
      "How long the API keeps events of triggers whose run was started, that were refused or left out; those of file triggers stay",
    default: "30d",
  },
  { name: "DOWNBEAT_SHUTDOWN_GRACE", description: "How long a stopping process waits for what it runs", default: "10s" },
  {
    name: "DOWNBEAT_FAILPOINTS",
    description: "For tests alone: `name:n` kills the worker the n-th time that it reaches the named boundary",
  },
] as const satisfies readonly Variable[];

type VariableName = (typeof VARIABLES)[number]["name"];

/** Stands for workers without a build id where builds are named. */
export const UNVERSIONED = "unversioned";

const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);

export const parseConfig = (env: Readonly<Record<string, string | undefined>>): Config => {
  const faults: string[] = [];
  const text = (name: VariableName): string | undefined => {
    const variable: Variable | undefined = VARIABLES.find((candidate) => candidate.name === name);
    const value = env[name]?.trim();
    return value === undefined || value === "" ? variable?.default : value;
  };
  const whole = (name: VariableName, least: number, most: number): number => {
    const value = Number(text(name));
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    faults.push(`${name} is "${text(name)}"; it takes a whole number from ${least} to ${most}`);
    return least;
  };
  const flag = (name: VariableName): boolean => {
    const value = text(name);
    if (value === "true" || value === "1") return true;
    if (value !== "false" && value !== "0") faults.push(`${name} is "${value}"; it takes true or false`);
    return false;
  };
  /** The variable itself, or the content of the file that NAME_FILE names. */
  const secretText = (name: VariableName): string | undefined => {
    const file = env[`${name}_FILE`]?.trim();
    if (file === undefined || file === "") return text(name);
    if (text(name) !== undefined) faults.push(`${name} and ${name}_FILE are both set: keep one`);
    try {
      const content = readFileSync(file, "utf8").trim();
      if (content === "") faults.push(`${name}_FILE: ${file} is empty`);
      return content;
    } catch (error) {
      faults.push(`${name}_FILE: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const duration = (name: VariableName): number => {
    const milliseconds = parseDuration(text(name) ?? "");
    if (milliseconds === undefined) faults.push(`${name} is "${text(name)}"; it takes a duration such as 10s`);
    return milliseconds ?? 0;
  };
  const list = (name: VariableName): readonly string[] => [
    ...new Set(
      (text(name) ?? "")
        .split(",")
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ""),
    ),
  ];
  const oneOf = <Value extends string>(name: VariableName, values: readonly Value[]): Value => {
    const value = text(name);
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) faults.push(`${name} is "${value}"; it takes one of ${values.join(", ")}`);
    return found ?? (values[0] as Value);
  };

  const url = (name: VariableName, protocols: readonly string[]): string | undefined => {
    const value = text(name);
    // The value itself may hold a password, so the message leaves it out.
    if (value !== undefined && !protocols.includes(URL.parse(value)?.protocol ?? ""))
      faults.push(`${name} is no URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`);
    return value;
  };

  const databaseUrl = url("DATABASE_URL", ["postgres:", "postgresql:"]);
  const secretKey = secretText("DOWNBEAT_SECRET_KEY");
  if (secretKey !== undefined && !/^[0-9a-fA-F]{64}$/.test(secretKey))
    faults.push("DOWNBEAT_SECRET_KEY must be 64 hex digits; make one with: openssl rand -hex 32");
  const host = text("DOWNBEAT_HOST") ?? "";
  const apiKey = secretText("DOWNBEAT_API_KEY");
  const workerHost = text("DOWNBEAT_WORKER_HOST") ?? "";
  for (const [name, value] of Object.entries({ DOWNBEAT_HOST: host, DOWNBEAT_WORKER_HOST: workerHost })) {
    if (!isLoopback(value) && apiKey === undefined)
      faults.push(`${name} is ${value}, beyond loopback: set DOWNBEAT_API_KEY (or DOWNBEAT_API_KEY_FILE), which every request then needs`);
  }
  if (apiKey !== undefined && apiKey.length < 16) faults.push("DOWNBEAT_API_KEY must have at least 16 characters");
  const [ca, cert, key] = [text("TEMPORAL_TLS_CA"), text("TEMPORAL_TLS_CERT"), text("TEMPORAL_TLS_KEY")];
  if ((cert === undefined) !== (key === undefined)) faults.push("TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together: set both or none");
  const address = text("TEMPORAL_ADDRESS");
  if (address !== undefined && !/^[^\s/]+:\d{1,5}$/.test(address)) faults.push(`TEMPORAL_ADDRESS is "${address}"; it takes host:port`);
  const failpoints = text("DOWNBEAT_FAILPOINTS");
  if (failpoints !== undefined && !/^[a-z-]+:[1-9]\d*(,[a-z-]+:[1-9]\d*)*$/.test(failpoints))
    faults.push('DOWNBEAT_FAILPOINTS is a list such as "before-commit:2"');
  const commands = list("DOWNBEAT_COMMANDS");
  for (const entry of commands) {
    if (entry.includes("/") && !entry.startsWith("/"))
      faults.push(`DOWNBEAT_COMMANDS has "${entry}"; an entry is a name on the PATH or begins with /`);
  }
  const queues = list("DOWNBEAT_QUEUES");
  if (queues.length === 0) faults.push("DOWNBEAT_QUEUES names no queue");
  const buildId = text("DOWNBEAT_BUILD_ID");
  if (buildId !== undefined && (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$/.test(buildId) || buildId === UNVERSIONED))
    faults.push(`DOWNBEAT_BUILD_ID is "${buildId}"; it takes up to 200 of A-Z, a-z, 0-9 and . _ + -, and not "${UNVERSIONED}"`);
  const config: Config = {
    databaseUrl,
    dataDir: path.resolve(text("DOWNBEAT_DATA_DIR") ?? ""),
    host,
    port: whole("DOWNBEAT_PORT", 0, 65_535),
    apiKey,
    secretKey,
    temporal: {
      address,
      namespace: text("TEMPORAL_NAMESPACE") ?? "",
      apiKey: secretText("TEMPORAL_API_KEY"),
      tls: flag("TEMPORAL_TLS"),
      tlsFiles: { ca, cert, key },
      uiUrl: url("TEMPORAL_UI_URL", ["http:", "https:"]),
    },
    userConfigFile: { path: text("DOWNBEAT_CONFIG") ?? "", isDefault: (env["DOWNBEAT_CONFIG"] ?? "") === "" },
    logLevel: oneOf("DOWNBEAT_LOG_LEVEL", LOG_LEVELS),
    otlpEndpoint: url("OTEL_EXPORTER_OTLP_ENDPOINT", ["http:", "https:"]),
    workerHost,
    workerPort: whole("DOWNBEAT_WORKER_PORT", 0, 65_535),
    queues,
    maxActivities: whole("DOWNBEAT_MAX_ACTIVITIES", 1, 10_000),
    maxWorkflows: whole("DOWNBEAT_MAX_WORKFLOWS", 10, 100_000),
    buildId,
    commands,
    images: list("DOWNBEAT_IMAGES"),
    commandShell: flag("DOWNBEAT_COMMAND_SHELL"),
    failpoints,
    shutdownGraceMs: duration("DOWNBEAT_SHUTDOWN_GRACE"),
    keepEventsMs: duration("DOWNBEAT_KEEP_EVENTS"),
  };
  if (faults.length > 0)
    throw new DownbeatError(
      "CONFIG_INVALID",
      `the environment has ${faults.length === 1 ? "a fault" : `${faults.length} faults`}:\n  ${faults.join("\n  ")}`,
    );
  return config;
};

/** The store's URL, for processes that share one: an embedded store has one owner. */
export const requireServers = ({ databaseUrl }: Config): string => {
  if (databaseUrl !== undefined) return databaseUrl;
  throw new DownbeatError(
    "CONFIG_INVALID",
    "DATABASE_URL is not set: API and workers as processes of their own share a PostgreSQL store; `npm start` runs both in one process without it",
  );
};

/** What `--help` shows. */
export const helpText = (usage: string): string => {
  const width = Math.max(...VARIABLES.map(({ name }) => name.length));
  const lines = VARIABLES.map((variable: Variable) => {
    const standard = variable.default === undefined ? "" : ` (default ${variable.default})`;
    return `  ${variable.name.padEnd(width)}  ${variable.description}${standard}`;
  });
  return `${usage}\n\nEnvironment:\n${lines.join("\n")}`;
};
