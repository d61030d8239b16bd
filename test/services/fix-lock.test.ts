// The lock file names every platform's binaries, and the script that sees to it adds nothing else.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { completed, type Lock, missingEntries, platformOf } from "../../bin/fix-lock.ts";

const file = path.resolve(import.meta.dirname, "../../package-lock.json");
const projectLock = JSON.parse(readFileSync(file, "utf8")) as Lock;

describe("fix-lock", () => {
  it("finds nothing missing in the project's own lock", () => {
    expect(Object.keys(missingEntries(projectLock))).toEqual([]);
  });

  it("adds the binaries that are missing, with the platform of their name", () => {
    const lock: Lock = {
      packages: {
        "": {},
        "node_modules/a": {
          version: "1.0.0",
          dev: true,
          optionalDependencies: { "@a/linux-x64": "1.0.0", "@a/linux-x64-musl": "1.0.0", "@a/darwin-arm64": "1.0.0", fsevents: "^2.3.0" },
        },
        "node_modules/@a/linux-x64": { version: "1.0.0", optional: true },
      },
    };
    expect(missingEntries(lock)).toEqual({
      "node_modules/@a/linux-x64-musl": { version: "1.0.0", dev: true, optional: true, os: ["linux"], cpu: ["x64"], libc: ["musl"] },
      "node_modules/@a/darwin-arm64": { version: "1.0.0", dev: true, optional: true, os: ["darwin"], cpu: ["arm64"] },
    });
    expect(Object.keys(missingEntries(completed(lock)))).toEqual([]);
  });

  it("finds a binary that npm has put below its parent, and keeps two versions apart", () => {
    const nested: Lock = {
      packages: {
        "node_modules/a": { optionalDependencies: { "@a/linux-x64": "2.0.0" } },
        "node_modules/a/node_modules/@a/linux-x64": { version: "2.0.0" },
      },
    };
    expect(missingEntries(nested)).toEqual({});
    const twice: Lock = {
      packages: {
        "node_modules/a": { optionalDependencies: { "@a/win32-x64": "1.0.0" } },
        "node_modules/b/node_modules/a": { optionalDependencies: { "@a/win32-x64": "2.0.0" } },
      },
    };
    expect(Object.entries(missingEntries(twice)).map(([place, { version }]) => [place, version])).toEqual([
      ["node_modules/@a/win32-x64", "1.0.0"],
      ["node_modules/b/node_modules/a/node_modules/@a/win32-x64", "2.0.0"],
    ]);
  });

  it("tells of every binary in the lock the platform that the registry told", () => {
    const siblings = Object.values(projectLock.packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    const wrong = Object.entries(projectLock.packages).flatMap(([place, entry]) => {
      const name = place.split("node_modules/").at(-1) ?? "";
      if (entry.os === undefined || entry.cpu === undefined) return [];
      const told = { os: entry.os, cpu: entry.cpu, ...(entry.libc === undefined ? {} : { libc: entry.libc }) };
      const guessed = platformOf(name, siblings);
      // Some packages leave libc out although their name has it: saying it does no harm.
      if (entry.libc === undefined) delete (guessed as { libc?: unknown }).libc;
      return JSON.stringify(guessed) === JSON.stringify(told) ? [] : [{ name, guessed, told }];
    });
    expect(wrong).toEqual([]);
  });
});
