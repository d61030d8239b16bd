// A tap: a program that is allowed, its files, its log, and what its end means.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { JsonObject } from "../../../core/json.ts";
import type { ConnectorContext } from "../../connector.ts";
import { splitLines, type Line } from "../formats/lines.ts";
import { findProgram, type ProgramHost } from "../programs/allowed-program.ts";
import { LastLines, startFailure } from "../programs/program-failure.ts";
import { createRedactor, LineReader, type Redactor } from "../programs/program-output.ts";
import { runProgram, type Program } from "../programs/run-program.ts";
import { streamProgram } from "../programs/stream-program.ts";
import { mergedConfig, type GivenConfig } from "./merged-config.ts";

export interface TapConfig extends GivenConfig {
  readonly environment: Readonly<Record<string, string>>;
}

/** How the program is started, with its files in a folder. */
export interface Launch {
  readonly command: readonly string[];
  readonly host: ProgramHost;
  /** Where the program finds the folder. */
  readonly folder: string;
  /** Arguments of the same program that stop what it has started elsewhere. */
  readonly clear?: readonly string[];
}

export interface Launcher {
  /** A container's user is not ours. */
  readonly readers: "owner" | "all";
  launch(folder: string, host: ProgramHost): Launch;
}

export type NoteLevel = "debug" | "info" | "warn";

export interface TapRun extends AsyncDisposable {
  readonly lines: AsyncIterable<readonly Line[]>;
  /** What the tap says of itself: into the log, and into the error should it fail. */
  note(level: NoteLevel, text: string): void;
  /** After the lines' end: throws COMMAND_FAILED when the exit code is not 0. */
  confirm(): Promise<void>;
}

/** A log is read by people. */
const NOTE_LENGTH = 2_000;
const NO_PROGRAMS: ProgramHost = { allowed: [], images: [], environment: {}, folder: "/" };

export class Tap {
  readonly config: JsonObject;
  /** Takes the connection's secrets out of texts. */
  readonly redact: Redactor;
  readonly context: ConnectorContext;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #launcher: Launcher;

  /** Throws CONNECTION_INVALID when the secrets cannot be read. */
  constructor(given: TapConfig, context: ConnectorContext, launcher: Launcher) {
    const { config, secrets } = mergedConfig(given);
    this.config = config;
    this.redact = createRedactor(secrets);
    this.context = context;
    this.#environment = given.environment;
    this.#launcher = launcher;
  }

  /** `files`: option → content; the program gets each as `option path`. Throws COMMAND_REFUSED when it may not run. */
  async start(args: readonly string[], files: Readonly<Record<string, string>>): Promise<TapRun> {
    const { signal, tempDir, baseDir, log, programs = NO_PROGRAMS } = this.context;
    const outer = await mkdtemp(path.join(tempDir, "tap-"));
    const remove = (): Promise<void> => rm(outer, { recursive: true, force: true });
    try {
      const folder = await this.#write(outer, files);
      const { command, host, folder: seenAs, clear } = this.#launcher.launch(folder, programs);
      const options = Object.keys(files).flatMap((option) => [option, path.posix.join(seenAs, fileName(option))]);
      const { file, args: first } = await findProgram(command, baseDir, host);
      const env = { ...host.environment, ...this.#environment };
      const last = new LastLines();
      const note = (level: NoteLevel, text: string): void => {
        const line = this.redact(text).slice(0, NOTE_LENGTH);
        log[level]({ program: path.basename(file) }, line);
        last.push(line);
      };
      const errors = new LineReader(this.redact, (line) => note(levelOf(line), line));
      const program = { file, args: [...first, ...args, ...options], cwd: baseDir, env };
      const running = await streamProgram(program, signal, (text) => errors.push(text)).catch((error: unknown) => {
        throw startFailure(error, file);
      });
      let isOver = false;
      return {
        lines: splitLines(running.output, signal),
        note,
        confirm: async () => {
          const end = await running.end();
          isOver = true;
          errors.end();
          if (end.code !== 0) throw last.failure(file, end);
        },
        [Symbol.asyncDispose]: async () => {
          await running[Symbol.asyncDispose]();
          if (!isOver && clear !== undefined) await clearAway({ file, args: clear, cwd: baseDir, env, stdin: undefined });
          await remove();
        },
      };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** The outer folder is its owner's alone, whoever may read inside. */
  async #write(outer: string, files: Readonly<Record<string, string>>): Promise<string> {
    const isShared = this.#launcher.readers === "all";
    const folder = path.join(outer, "files");
    await mkdir(folder, { mode: isShared ? 0o755 : 0o700 });
    for (const [option, content] of Object.entries(files))
      await writeFile(path.join(folder, fileName(option)), content, { mode: isShared ? 0o644 : 0o600 });
    return folder;
  }
}

const fileName = (option: string): string => `${option.replace(/^-+/, "")}.json`;

const CLEAR_MS = 5_000;

const clearAway = async (program: Program): Promise<void> => {
  // What cannot be cleared away has ended, or its host is away.
  await runProgram(program, AbortSignal.timeout(CLEAR_MS), () => undefined).catch(() => undefined);
};

/** Programs write their levels in many ways, but early in the line. */
const levelOf = (line: string): NoteLevel => {
  const level = /\b(critical|fatal|error|warn(?:ing)?|info|debug)\b/i.exec(line.slice(0, 120))?.[1]?.toLowerCase();
  if (level === "debug") return "debug";
  return level === undefined || level === "info" ? "info" : "warn";
};
