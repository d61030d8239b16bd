// Local files: CSV, JSON Lines, Parquet and Avro by path or glob as streams; any files to copy, move and delete.

import path from "node:path";
import { z } from "zod";
import { DownbeatError } from "../core/errors.ts";
import { defineConnector } from "./lib/define.ts";
import { fileOptions } from "./lib/formats/read-file.ts";
import { LocalFiles } from "./lib/local-files.ts";
import { LocalRoot } from "./lib/local-root.ts";
import { afterScheme, decoded, tableOfPath } from "./lib/urls.ts";
import { createObjectSource, type ListedObject, type ObjectStore } from "./lib/object-source.ts";

const MAX_PATTERNS = 50;

export const file = defineConnector({
  kind: "file",
  title: "Local files",
  description: "CSV, JSON Lines, Parquet and Avro files that the worker can read; any files to copy, move and delete",
  roles: ["source", "files"],
  config: z.strictObject({
    root: z
      .string()
      .min(1)
      .default(".")
      .describe("Folder that streams are looked up in, and that nothing is read or written outside of; relative to the data folder"),
  }),
  sourceOptions: z.strictObject({
    ...fileOptions,
    new_only: z.boolean().default(false).describe("Take each file once; a file whose content changed counts as new"),
  }),
  capabilities: { incremental: "never", incrementalWhen: "new_only", resumable: true },
  url: {
    schemes: ["file"],
    example: "./orders.csv, data/*.parquet",
    read: (text, { baseDir }) => {
      const isUrl = /^file:/i.test(text);
      const name = isUrl ? decoded(afterScheme(text)) : text;
      if (name === undefined) return "it has a % that begins no encoded character; write % as %25";
      const full = path.resolve(baseDir, name);
      if (name === "" || name.endsWith("/")) return { config: { root: full }, place: `file://${full}/` };
      // A user's own path may lead through links wherever it likes.
      return { config: { root: "/" }, stream: full.slice(1), place: "file://" };
    },
    tableOf: tableOfPath,
  },
  notes:
    "A stream is a path or a glob under `root`: `orders.csv`, `2026/**/*.jsonl.gz`. Links that lead out of `root` are refused. Files may be packed as S3's objects are; what is said there of formats holds here as well. As `files` a file appears whole, by a rename; see [moving files](../guides/moving-files.md).",
  async open({ root }, context) {
    const { glob, stat } = await import("node:fs/promises");
    const readable = new LocalRoot(root, context, "SOURCE_OPTIONS_INVALID");
    const { base } = readable;

    /** Undefined: there is no such file (any more). */
    const describeFile = async (name: string): Promise<ListedObject | undefined> => {
      try {
        const facts = await stat(await readable.inside(name));
        return facts.isFile() ? { key: name.replaceAll(path.sep, "/"), tag: `${facts.size}-${Math.trunc(facts.mtimeMs)}` } : undefined;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT") return undefined;
        if (code === "EACCES" || code === "EPERM")
          throw new DownbeatError("SOURCE_AUTH", `the worker may not read "${name}"; check its permissions`, { cause: error });
        throw error;
      }
    };

    const refuseChanged = async ({ key, tag }: ListedObject): Promise<void> => {
      const now = await describeFile(key);
      if (now?.tag !== tag) throw new DownbeatError("SOURCE_CHANGED", `${key} changed while it was being read`);
    };

    const list = async (pattern: string): Promise<readonly ListedObject[]> => {
      if (path.isAbsolute(pattern) || pattern.split("/").includes("..")) {
        throw new DownbeatError("SOURCE_OPTIONS_INVALID", `"${pattern}" must be a path or glob under the connection's root`);
      }
      const found: ListedObject[] = [];
      for await (const name of glob(pattern, { cwd: base })) {
        const object = await describeFile(name);
        if (object !== undefined) found.push(object);
      }
      return found.toSorted((left, right) => (left.key < right.key ? -1 : 1));
    };

    const store: ObjectStore = {
      nameOf: (stream) => path.join(base, stream),
      list,
      async fetch(object) {
        await refuseChanged(object);
        return {
          path: await readable.inside(object.key),
          confirm: () => refuseChanged(object),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
      },
      async patterns() {
        const byPattern = new Map<string, ListedObject>();
        for await (const name of glob("**/*", { cwd: base })) {
          // Discovery passes over links that lead out of the root; reading one is refused.
          const object = await describeFile(name).catch(() => undefined);
          if (object === undefined) continue;
          const pattern = object.key.replace(/[^/]*?((\.[A-Za-z]+\d?)+)$/, "*$1");
          if (!byPattern.has(pattern) && byPattern.size < MAX_PATTERNS) byPattern.set(pattern, object);
        }
        return [...byPattern].map(([pattern, example]) => ({ pattern, example }));
      },
    };
    return {
      async check() {
        const facts = await stat(base).catch(() => undefined);
        if (facts?.isDirectory() !== true)
          throw new DownbeatError("CONNECTION_INVALID", `root ${base} is not a folder that the worker can read`);
      },
      source: createObjectSource(store, context),
      files: new LocalFiles(root, context),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});
