// Paths of files as definitions write them: under the connection, never above it.

import path from "node:path";
import { DownbeatError } from "../../core/errors.ts";

/** Throws FILE_REFUSED for what is no plain path under the connection. */
export const checkFilePath = (name: string): void => {
  const parts = name.split("/");
  if (name !== "" && !name.includes("\0") && !path.isAbsolute(name) && !parts.includes("..") && !parts.includes(".")) return;
  throw new DownbeatError("FILE_REFUSED", `"${name}" is no path under the connection: it is relative, without "." and ".." as parts`);
};

/** What every match of the glob begins with. */
export const literalOfGlob = (glob: string): string => glob.slice(0, glob.search(/[*?[{]|[!+@]\(|$/));

/** The folder part of that. */
export const folderOfGlob = (glob: string): string => {
  const literal = literalOfGlob(glob);
  return literal.slice(0, literal.lastIndexOf("/") + 1);
};

export const byPath = (left: { readonly path: string }, right: { readonly path: string }): number =>
  left.path < right.path ? -1 : left.path > right.path ? 1 : 0;
