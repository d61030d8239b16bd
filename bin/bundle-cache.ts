// Keeps the bundled workflow code from one start of a worker to the next: bundling takes five seconds of a processor.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

/** Bundles of a few builds and checkouts; each is a few megabytes. */
const MOST_KEPT = 10;
/** Of a file that was written to its end. */
const END = "\n// the end of the bundle\n";
/** What npm says of the installed packages, the exact one first. */
const LOCKS = ["node_modules/.package-lock.json", "package-lock.json"];

const readIfThere = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });

/**
 * Changes with all that the bundle is made of: the sources in the folders, the further modules, the installed packages. Undefined where nothing tells
 * the packages' versions, as in a package that is installed in another project.
 */
export const bundleKey = async (root: string, folders: readonly string[], modules: readonly string[]): Promise<string | undefined> => {
  const locks = await Promise.all(LOCKS.map((lock) => readIfThere(path.join(root, lock))));
  const lock = locks.find((content) => content !== undefined);
  if (lock === undefined) return undefined;
  const hash = createHash("sha256").update(`${process.version}\0${root}\0`).update(lock);
  const entries = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(path.join(root, folder), { recursive: true });
      return names.filter((name) => name.endsWith(".ts")).map((name) => path.join(root, folder, name));
    }),
  );
  for (const file of [...entries.flat().toSorted(), ...modules]) hash.update(`\0${file}\0`).update(await readFile(file));
  return hash.digest("hex").slice(0, 32);
};

/** What is kept under the key, or else what `make` makes, which is kept then. A folder that cannot be written keeps nothing and harms nothing. */
export const keptBundle = async (folder: string, key: string, make: () => Promise<string>): Promise<string> => {
  const file = path.join(folder, `${key}.js`);
  const kept = await readFile(file, "utf8").catch(() => undefined);
  if (kept?.endsWith(END) === true) return kept.slice(0, -END.length);
  const code = await make();
  await keep(folder, file, `${code}${END}`).catch(() => undefined);
  return code;
};

const keep = async (folder: string, file: string, code: string): Promise<void> => {
  await mkdir(folder, { recursive: true });
  // Written aside: another worker that starts at the same time reads the whole of it or nothing.
  const aside = `${file}.${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(aside, code, { mode: 0o600 });
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  const all = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const own = path.join(folder, name);
      return { own, at: (await stat(own)).mtimeMs };
    }),
  );
  const old = all.toSorted((left, right) => right.at - left.at).slice(MOST_KEPT);
  for (const { own } of old) await rm(own, { force: true });
};
