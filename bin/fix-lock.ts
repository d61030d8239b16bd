// `npm run lock:fix`: adds the entries of other platforms' binaries that a registry without them leaves out of package-lock.json.
// npm drops an optional dependency that it cannot find; `npm ci` then refuses the lock, and other platforms would go without their binary.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const OS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"] as const;
const CPU = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"] as const;
/** How package names spell what npm calls otherwise. */
const SPELLED: Readonly<Record<string, string>> = { windows: "win32", aarch64: "arm64", x86_64: "x64", ppc64le: "ppc64", armv7: "arm" };

/** The platform that a binary's package name tells of, e.g. @swc/core-linux-arm64-musl; beside a -musl sibling a plain name means glibc. */
export const platformOf = (name: string, siblings: readonly string[]): Pick<LockEntry, "os" | "cpu" | "libc"> => {
  const words = name.split(/[/\-.]/).map((word) => SPELLED[word] ?? word);
  const os = OS.filter((known) => words.includes(known));
  const cpu = CPU.filter((known) => words.includes(known));
  const isMusl = words.some((word) => word.startsWith("musl"));
  const isGlibc = words.some((word) => word.startsWith("gnu")) || siblings.includes(`${name}-musl`);
  const libc = isMusl ? ["musl"] : isGlibc ? ["glibc"] : [];
  return {
    ...(os.length === 0 ? {} : { os }),
    ...(cpu.length === 0 ? {} : { cpu }),
    ...(libc.length === 0 || !os.includes("linux") ? {} : { libc }),
  };
};

/** Node's way of looking: beside the parent's own dependencies, then in each folder above. */
const isThere = (packages: Lock["packages"], parent: string, name: string): boolean => {
  const steps = parent === "" ? [] : parent.split("/node_modules/");
  for (let depth = steps.length; depth >= 0; depth -= 1) {
    const place = depth === 0 ? `node_modules/${name}` : `${steps.slice(0, depth).join("/node_modules/")}/node_modules/${name}`;
    if (place in packages) return true;
  }
  return false;
};

const EXACT = /^\d+\.\d+\.\d+(?:[-+].*)?$/;

/** The entries that the lock lacks, by their place in it. Exact versions only: that is how platform binaries are named. */
export const missingEntries = (lock: Lock): Readonly<Record<string, LockEntry>> => {
  const missing: Record<string, LockEntry> = {};
  for (const [parent, entry] of Object.entries(lock.packages)) {
    const optional = entry.optionalDependencies ?? {};
    for (const [name, version] of Object.entries(optional)) {
      const { os, cpu, libc } = platformOf(name, Object.keys(optional));
      if (!EXACT.test(version) || (os === undefined && cpu === undefined) || isThere(lock.packages, parent, name)) continue;
      // A second parent with another version keeps its own below itself.
      const taken = missing[`node_modules/${name}`];
      const place = taken === undefined || taken.version === version ? `node_modules/${name}` : `${parent}/node_modules/${name}`;
      missing[place] = {
        version,
        ...(cpu === undefined ? {} : { cpu }),
        ...(entry.dev === true ? { dev: true } : {}),
        ...(libc === undefined ? {} : { libc }),
        optional: true,
        ...(os === undefined ? {} : { os }),
      };
    }
  }
  return missing;
};

/** The lock with them, in npm's own order. */
export const completed = (lock: Lock): Lock => {
  const packages = { ...lock.packages, ...missingEntries(lock) };
  return { ...lock, packages: Object.fromEntries(Object.entries(packages).toSorted(([left], [right]) => left.localeCompare(right, "en"))) };
};

const main = (): number => {
  const { values, positionals } = parseArgs({ options: { check: { type: "boolean", default: false } }, allowPositionals: true });
  const file = positionals[0] ?? "package-lock.json";
  const lock = JSON.parse(readFileSync(file, "utf8")) as Lock;
  const missing = Object.entries(missingEntries(lock));
  if (missing.length === 0) {
    console.log(`${file} has every platform's entries`);
    return 0;
  }
  for (const [place, { version }] of missing) console.log(`${values.check ? "missing" : "added"} ${place} ${version}`);
  if (values.check) {
    console.error(`${file} lacks ${missing.length} entries: run npm run lock:fix`);
    return 1;
  }
  writeFileSync(file, `${JSON.stringify(completed(lock), null, 2)}\n`);
  return 0;
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = main();
