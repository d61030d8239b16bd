// What it means that a program could not be started, or ended otherwise than well.

import { DownbeatError } from "../../../core/errors.ts";
import type { ProgramEnd } from "./run-program.ts";

/** What the system says when there is no room for another process passes; everything else about a start stays. */
const PASSING = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "ETXTBSY"]);

/** An error of the system at a start as ours; every other one as it is. */
export const startFailure = (error: unknown, file: string): unknown => {
  const { code, syscall = "", message } = error as NodeJS.ErrnoException;
  if (code === undefined || !(syscall.startsWith("spawn") || code.startsWith("ERR_INVALID_ARG"))) return error;
  const what = `${file} cannot be started: ${code === "E2BIG" ? "its arguments and variables are too long" : message}`;
  return new DownbeatError(PASSING.has(code) ? "COMMAND_FAILED" : "COMMAND_REFUSED", what, { cause: error });
};

const LAST_LINES = 20;
const LAST_LENGTH = 2_000;

/** The last lines of what a program says: most say there why they fail. */
export class LastLines {
  readonly #lines: string[] = [];

  push(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  failure(file: string, { code, signal }: ProgramEnd): DownbeatError {
    const said = this.#lines.join("\n").slice(-LAST_LENGTH);
    const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
    const details = code === null ? { signal } : { exitCode: code };
    return new DownbeatError("COMMAND_FAILED", `${file} ${how}${said === "" ? " and wrote nothing" : `:\n${said}`}`, { details });
  }
}
