// A worker's temporary folder: it goes with the worker, or with the start of the next one where the worker was killed.

import { mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { birthOf, isAlive } from "./services/process-birth.ts";

export interface TempFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Where process ids mean the same, in words that only this boot of this machine has: containers, and machines, may share a folder, and each has a process 1. */
const pidSpace = (): string => {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}-${readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "")}`;
  } catch {
    return hostname().replaceAll(/[^\w.]/g, "_");
  }
};

/** Of a folder that such a process of here has made; undefined: it is somebody else's. */
const makerOf = (name: string, prefix: string): { readonly pid: number; readonly birth: string | undefined } | undefined => {
  const [, pid, birth] = (name.startsWith(prefix) ? /^(\d+)-(\d*)$/.exec(name.slice(prefix.length)) : null) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), birth: birth === "" ? undefined : birth };
};

/** Makes this process's own folder under `root`, and removes those of workers that are gone. */
export const openTempFolder = async (root: string): Promise<TempFolder> => {
  const prefix = `worker-${pidSpace()}-`;
  const own = path.join(root, `${prefix}${process.pid}-${birthOf(process.pid) ?? ""}`);
  mkdirSync(own, { recursive: true });
  const remove = (folder: string): Promise<void> =>
    // What another one removes as well, or may not be removed, is in nobody's way.
    rm(folder, { recursive: true, force: true }).catch(() => undefined);
  for (const name of readdirSync(root)) {
    const maker = makerOf(name, prefix);
    if (maker !== undefined && !isAlive(maker)) await remove(path.join(root, name));
  }
  return { path: own, remove: () => remove(own) };
};
