// Installs Python packages of exact versions into a virtual environment of the cache, once.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, readlink, rename, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { findProgram } from "./cache.ts";
import type { InstallContext } from "./install.ts";
import { runCommand } from "./run-command.ts";

/** Resolves with the folder of the environment's programs. Throws when Python or the package registry cannot be had. */
export const pythonPrograms = async (name: string, packages: readonly string[], context: InstallContext): Promise<string> => {
  const { env, cacheDir, say } = context;
  // Other versions are another environment.
  const versions = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 8);
  const target = path.join(cacheDir, `python-${name}-${versions}`);
  const there = await readlink(target).catch(() => undefined);
  if (there !== undefined) return path.join(target, "bin");
  const python = findProgram("python3", [], env);
  if (python === undefined) throw new Error("there is no Python (python3) on the PATH");
  say(`${name}: pip install ${packages.join(" ")}; this takes some minutes and happens once`);
  // Its programs hold its path, so that it cannot be moved in at the end: the link to it is.
  const folder = path.join(cacheDir, `build-python-${name}-${randomBytes(4).toString("hex")}`);
  await mkdir(cacheDir, { recursive: true });
  try {
    await runCommand(python, ["-m", "venv", folder], { env, timeoutMs: 300_000, say, title: `python3 -m venv for ${name}` });
    const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", ...packages];
    await runCommand(path.join(folder, "bin", "python"), pip, { env, timeoutMs: 1_200_000, say, title: `pip install for ${name}` });
    await symlink(folder, `${folder}.link`);
    await rename(`${folder}.link`, target);
    return path.join(target, "bin");
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
};
