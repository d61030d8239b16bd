// Where downloaded and built server programs are kept, and how programs on the PATH are found.

import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

export const cacheDir = (env: NodeJS.ProcessEnv = process.env): string =>
  env["DOWNBEAT_CACHE"] ?? path.join(env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "downbeat");

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The program's full path, or undefined. */
export const findProgram = (name: string, more: readonly string[] = [], env: NodeJS.ProcessEnv = process.env): string | undefined => {
  const folders = [...(env["PATH"] ?? "").split(path.delimiter), ...more];
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file) && isExecutable(file));
};

/** Debian keeps servers where users have no business. */
export const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"] as const;
