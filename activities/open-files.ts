// Files by connection, or of the worker's own data folder: for the verbs that work on whole files.

import type { ConnectorContext } from "../connectors/connector.ts";
import type { FileFacts, FileStore } from "../connectors/file-store.ts";
import { LocalFiles } from "../connectors/lib/local-files.ts";
import { roleOf } from "./connections.ts";
import type { VerbContext } from "./run-verb.ts";
import { openFor, type VerbDeps } from "./verb.ts";

/** Where files lie that are named without a connection. */
export type FileHost = Pick<ConnectorContext, "baseDir" | "reserved">;

export type FileDeps = VerbDeps & { readonly files: FileHost };

/** One file, or those of a glob. */
export interface FileSelection {
  readonly connection?: string;
  readonly path?: string;
  readonly glob?: string;
}

export const openFiles = async (
  deps: FileDeps,
  connection: string | undefined,
  context: VerbContext,
): Promise<{ readonly files: FileStore } & AsyncDisposable> => {
  if (connection === undefined) {
    const files = new LocalFiles(".", { ...deps.files, signal: context.signal, progress: context.heartbeat });
    return { files, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const opened = await openFor(deps, connection, context);
  try {
    return { files: roleOf(opened, "files"), [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
};

export const findFiles = async (files: FileStore, { path: name, glob }: FileSelection): Promise<readonly FileFacts[]> => {
  if (name === undefined) return files.list(glob ?? "");
  const file = await files.find(name);
  return file === undefined ? [] : [file];
};
