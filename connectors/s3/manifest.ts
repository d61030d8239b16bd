// The manifest of a load's files: its shape, its place, and what it tells of a target before a load begins.

import { createHash } from "node:crypto";
import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { LoadTarget, TargetState } from "../connector.ts";
import type { LoadState, LoadStates } from "../lib/load/load-states.ts";
import { isBookkeeping } from "./list.ts";
import type { S3Objects } from "./objects.ts";

export interface FilesState extends LoadState {
  /** Replace: files of the load that is under way; they become the manifest's `files` at its end. */
  readonly staged: readonly string[];
}

/** What readers go by: only these files count. */
export interface Manifest {
  readonly key: string;
  /** Which attempt wrote it: one whose write was answered too late must know it again. */
  readonly writer: string;
  readonly seq: number;
  readonly files: readonly string[];
  /** Where an incremental load goes on in the next run. */
  readonly cursor: Json;
  readonly items: readonly string[];
  readonly loads: LoadStates<FilesState>;
}

export const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

export const folderOf = (prefix: string, table: string): string => {
  if (!/^\.{0,2}$|^\/|\0/.test(table)) return `${prefix}${table.replace(/\/+$/, "")}/`;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `"${table}" is no folder under the bucket; write a path such as "published/revenue"`,
  );
};

export const manifestKeyOf = (folder: string, key: string): string => `${folder}_downbeat/${digest(key)}.json`;

/** What the names of all files of a flow begin with. */
export const filesOf = (key: string): string => `${digest(key)}-`;

/** Of a table's files, in whichever folder of it they are. */
export const fileNameOf = (key: string): string => key.slice(key.lastIndexOf("/") + 1);

export const describeS3Target = async (
  objects: S3Objects,
  prefix: string,
  { key, table }: Pick<LoadTarget, "key" | "table">,
): Promise<TargetState> => {
  const folder = folderOf(prefix, table);
  const text = (await objects.read(manifestKeyOf(folder, key)))?.text;
  const { files, loads } = text === undefined ? { files: [], loads: {} } : (JSON.parse(text) as Manifest);
  const all = Object.entries(loads);
  // Files of its own that no manifest names are nobody's data.
  const isForeign = (name: string): boolean => !isBookkeeping(name) && !fileNameOf(name).startsWith(filesOf(key));
  const exists = files.length > 0 || all.some(([, { done }]) => done) || (await objects.list(folder)).some(isForeign);
  const [origin, last] = all.at(-1) ?? [];
  if (origin === undefined || last === undefined) return { exists };
  const { staged, rows, done } = last;
  return { exists, lastLoad: { origin, rows, done, staged: staged.length > 0 } };
};
