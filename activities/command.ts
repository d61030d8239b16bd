// The command verb: runs an allowed program on the worker, its output going to the log line by line.

import { stat } from "node:fs/promises";
import path from "node:path";
import { findProgram, type Invocation, type ProgramHost } from "../connectors/lib/programs/allowed-program.ts";
import { LastLines, startFailure } from "../connectors/lib/programs/program-failure.ts";
import { createRedactor, LineReader } from "../connectors/lib/programs/program-output.ts";
import { runProgram, type ProgramEnd } from "../connectors/lib/programs/run-program.ts";
import { DownbeatError } from "../core/errors.ts";
import { deliveryKey, workKey } from "../core/ids.ts";
import type { Json, JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { TaskCall } from "../workflows/ports.ts";
import type { VerbContext } from "./run-verb.ts";
import { renderedConfig, type Verb, type VerbDeps } from "./verb.ts";

/** What this worker lets programs do and have. */
export interface CommandHost extends ProgramHost {
  readonly shell: boolean;
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

const shellLine = ([line = "", ...args]: readonly string[], { shell }: CommandHost): Invocation => {
  if (!shell) {
    const message =
      "this worker runs no shell; set DOWNBEAT_COMMAND_SHELL=true in its environment, or write the program and its arguments without shell";
    throw new DownbeatError("COMMAND_REFUSED", message);
  }
  return { file: SHELL, args: ["-c", line, SHELL, ...args] };
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

/** Output on its way into the log, kept as far as the task's own output and its error need it. */
class ProgramOutput {
  readonly #redact;
  readonly #lines: Readonly<Record<"stdout" | "stderr", LineReader>>;
  readonly #last = { stdout: new LastLines(), stderr: new LastLines() };
  readonly #keeps: boolean;
  #kept = "";
  #bytes = 0;

  constructor(keeps: boolean, secrets: readonly string[], { log }: VerbContext) {
    this.#keeps = keeps;
    this.#redact = createRedactor(secrets);
    const reader = (stream: "stdout" | "stderr"): LineReader =>
      new LineReader(this.#redact, (line) => {
        log.info({ stream }, line);
        this.#last[stream].push(line);
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
  failure(file: string, end: ProgramEnd): DownbeatError {
    const { stdout, stderr } = this.#last;
    return (stderr.isEmpty ? stdout : stderr).failure(file, end);
  }
}
