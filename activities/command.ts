// The command verb: runs an allowed program on the worker, its output going to the log line by line.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../core/errors.ts";
import { deliveryKey, workKey } from "../core/ids.ts";
import type { Json, JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { TaskCall } from "../workflows/ports.ts";
import { createRedactor, LineReader } from "./program-output.ts";
import { runProgram, type ProgramEnd } from "./program.ts";
import type { VerbContext } from "./run-verb.ts";
import { renderedConfig, type Verb, type VerbDeps } from "./verb.ts";

/** What this worker lets programs do and have. */
export interface CommandHost {
  /** Names on the PATH, paths, globs; empty: no program. */
  readonly allowed: readonly string[];
  readonly shell: boolean;
  /** Variables that every program gets. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where programs run that do not say where. */
  readonly folder: string;
  /** The value of `{ env: NAME }`; throws SECRET_UNRESOLVED. */
  readonly resolveSecret: (reference: JsonObject) => Promise<string>;
}

interface CommandConfig {
  /** An expression gives any value. */
  readonly run: readonly Json[];
  readonly shell: boolean;
  readonly cwd?: string;
  readonly env: Readonly<Record<string, Json>>;
  readonly stdin?: Json;
  readonly output: "none" | "text" | "json";
  readonly success_codes: readonly number[];
}

const SHELL = "/bin/sh";

export const createCommand = (deps: VerbDeps & { readonly commands: CommandHost }): Verb => {
  const host = deps.commands;
  return async (call, context) => {
    const config = await renderedConfig<CommandConfig>(deps, call);
    const run = config.run.map((value, index) => textOf(value, `run[${index}]`));
    const cwd = path.resolve(host.folder, config.cwd ?? ".");
    if (!(await stat(cwd).catch(() => undefined))?.isDirectory())
      throw new DownbeatError("COMMAND_REFUSED", `cwd ${cwd} is no folder on the worker`);
    const { file, args } = config.shell ? shellLine(run, host) : await findProgram(run, cwd, host);
    const { variables, secrets } = await variablesOf(config.env, host);
    const output = new ProgramOutput(config.output !== "none", secrets, context);
    const started = performance.now();
    const program = {
      file,
      args,
      cwd,
      env: { ...host.environment, ...variables, ...factsOf(call) },
      stdin: config.stdin === undefined ? undefined : textOf(config.stdin, "stdin"),
    };
    const end = await runProgram(program, context.signal, (stream, text) => output.take(stream, text))
      .catch((error: unknown) => {
        throw startFailure(error, file);
      })
      .finally(() => output.end());
    const seconds = Math.round(performance.now() - started) / 1000;
    if (end.code === null || !config.success_codes.includes(end.code)) throw output.failure(file, end);
    return { output: config.output === "none" ? { exit_code: end.code } : output.read(config.output), metrics: { seconds } };
  };
};

/** Numbers and the like come out of expressions. */
const textOf = (value: Json, where: string): string => {
  if (typeof value === "string") return value;
  if (value !== null) return JSON.stringify(value);
  throw new DownbeatError("EXPRESSION_FAILED", `${where} is null with its expressions evaluated; a program takes texts`);
};

interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
}

const shellLine = ([line = "", ...args]: readonly string[], { shell }: CommandHost): Invocation => {
  if (!shell) {
    const message =
      "this worker runs no shell; set DOWNBEAT_COMMAND_SHELL=true in its environment, or write the program and its arguments without shell";
    throw new DownbeatError("COMMAND_REFUSED", message);
  }
  return { file: SHELL, args: ["-c", line, SHELL, ...args] };
};

/** The allowed program itself, as an absolute path: what a task says of its environment cannot lead to another. */
const findProgram = async ([name = "", ...args]: readonly string[], cwd: string, host: CommandHost): Promise<Invocation> => {
  const isPath = name.includes("/");
  const wanted = isPath ? path.resolve(cwd, name) : name;
  if (!host.allowed.some((entry) => path.matchesGlob(wanted, entry))) {
    const allows = host.allowed.length === 0 ? "no program" : `only ${host.allowed.join(", ")}`;
    const message = `the worker may not run "${wanted}": DOWNBEAT_COMMANDS allows ${allows}; add it there, in the worker's environment`;
    throw new DownbeatError("COMMAND_REFUSED", message, { details: { program: wanted, allowed: host.allowed } });
  }
  const folders = isPath ? [""] : (host.environment["PATH"] ?? "").split(":").filter((folder) => path.isAbsolute(folder));
  for (const folder of folders) {
    const file = path.join(folder, wanted);
    if (await isExecutable(file)) return { file, args };
  }
  const where = isPath ? "is no executable file on the worker" : "is not on the worker's PATH";
  throw new DownbeatError("COMMAND_REFUSED", `"${wanted}" ${where}`);
};

const isExecutable = async (file: string): Promise<boolean> => {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
};

const variablesOf = async (
  env: CommandConfig["env"],
  { resolveSecret }: CommandHost,
): Promise<{ readonly variables: Readonly<Record<string, string>>; readonly secrets: readonly string[] }> => {
  const variables: Record<string, string> = {};
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (typeof value === "object" && value !== null && "env" in value) {
      const secret = await resolveSecret(value);
      variables[name] = secret;
      secrets.push(secret);
    } else variables[name] = textOf(value, `env.${name}`);
  }
  return { variables, secrets };
};

const factsOf = ({ run, taskId, attempt, itemKey }: TaskCall): Readonly<Record<string, string>> => ({
  DOWNBEAT_PIPELINE: run.pipeline,
  DOWNBEAT_RUN_ID: run.id,
  DOWNBEAT_TASK_ID: taskId,
  DOWNBEAT_ATTEMPT: String(attempt),
  DOWNBEAT_IDEMPOTENCY_KEY: deliveryKey(run.origin, workKey(taskId, itemKey)),
});

/** What the system says when there is no room for another process passes; everything else about a start stays. */
const PASSING = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "ETXTBSY"]);

const startFailure = (error: unknown, file: string): unknown => {
  const { code, syscall = "", message } = error as NodeJS.ErrnoException;
  if (code === undefined || !(syscall.startsWith("spawn") || code.startsWith("ERR_INVALID_ARG"))) return error;
  const what = `${file} cannot be started: ${code === "E2BIG" ? "its arguments and variables are too long" : message}`;
  return new DownbeatError(PASSING.has(code) ? "COMMAND_FAILED" : "COMMAND_REFUSED", what, { cause: error });
};

const LAST_LINES = 20;
const LAST_LENGTH = 2_000;

/** Output on its way into the log, kept as far as the task's own output and its error need it. */
class ProgramOutput {
  readonly #redact;
  readonly #lines: Readonly<Record<"stdout" | "stderr", LineReader>>;
  readonly #last: Record<"stdout" | "stderr", string[]> = { stdout: [], stderr: [] };
  readonly #keeps: boolean;
  #kept = "";
  #bytes = 0;

  constructor(keeps: boolean, secrets: readonly string[], { log }: VerbContext) {
    this.#keeps = keeps;
    this.#redact = createRedactor(secrets);
    const reader = (stream: "stdout" | "stderr"): LineReader =>
      new LineReader(this.#redact, (line) => {
        log.info({ stream }, line);
        const last = this.#last[stream];
        last.push(line);
        if (last.length > LAST_LINES) last.shift();
      });
    this.#lines = { stdout: reader("stdout"), stderr: reader("stderr") };
  }

  take(stream: "stdout" | "stderr", text: string): void {
    this.#lines[stream].push(text);
    if (!this.#keeps || stream !== "stdout") return;
    this.#bytes += Buffer.byteLength(text);
    if (this.#bytes <= LIMITS.largeOutputBytes) this.#kept += text;
  }

  end(): void {
    this.#lines.stdout.end();
    this.#lines.stderr.end();
  }

  read(as: "text" | "json"): Json {
    if (this.#bytes > LIMITS.largeOutputBytes) {
      const message = `the program wrote ${this.#bytes} bytes to its standard output, the limit is ${LIMITS.largeOutputBytes}; write less, or write it to a file`;
      throw new DownbeatError("OUTPUT_TOO_LARGE", message, { details: { bytes: this.#bytes, limit: LIMITS.largeOutputBytes } });
    }
    const text = this.#redact(this.#kept).trim();
    if (as === "text") return text;
    try {
      return JSON.parse(text) as Json;
    } catch (error) {
      const found = text === "" ? "it is empty" : `it begins with ${JSON.stringify(text.slice(0, 100))}`;
      throw new DownbeatError("COMMAND_OUTPUT_INVALID", `the standard output is not one JSON value: ${found}`, { cause: error });
    }
  }

  /** Most programs say on standard error why they fail, some on standard output. */
  failure(file: string, { code, signal }: ProgramEnd): DownbeatError {
    const lines = this.#last.stderr.length > 0 ? this.#last.stderr : this.#last.stdout;
    const said = lines.join("\n").slice(-LAST_LENGTH);
    const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
    const details = code === null ? { signal } : { exitCode: code };
    return new DownbeatError("COMMAND_FAILED", `${file} ${how}${said === "" ? " and wrote nothing" : `:\n${said}`}`, { details });
  }
}
