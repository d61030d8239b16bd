// Which programs a worker runs for others: an allow-list, and where the allowed ones lie.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../../../core/errors.ts";

/** What a worker lets programs do and have. */
export interface ProgramHost {
  /** Names on the PATH, paths, globs; empty: no program. */
  readonly allowed: readonly string[];
  /** Container images, also with `*`; empty: no image. */
  readonly images: readonly string[];
  /** Variables that every program gets. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where programs run that do not say where. */
  readonly folder: string;
}

export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
}

/** The allowed program itself, as an absolute path: what a task says of its environment cannot lead to another. Throws COMMAND_REFUSED. */
export const findProgram = async ([name = "", ...args]: readonly string[], cwd: string, host: ProgramHost): Promise<Invocation> => {
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
