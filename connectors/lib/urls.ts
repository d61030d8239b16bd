// URLs of the usual forms, made into configurations: servers with databases, files, names of tables.

import path from "node:path";
import type { NamedEnd } from "../connector-url.ts";

/** What follows "scheme://". */
export const afterScheme = (text: string): string => text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");

/** What a URL has percent-encoded; undefined: it is no valid encoding. */
export const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/** `scheme://user:password@host:port/database`; whatever is left out is for the schema to miss. */
export const serverUrl = (text: string, scheme: string): NamedEnd | string => {
  const url = URL.parse(text);
  if (url === null) return `it is no URL; characters such as @ : / ? # in a user or password are written as %40 %3A %2F %3F %23`;
  const parts = [url.username, url.password, url.pathname.slice(1)].map(decoded);
  if (parts.includes(undefined)) return "it has a % that begins no encoded character; write % as %25";
  const [user, password, database] = parts;
  if (database?.includes("/") === true) return `"${database}" is no database; tables are named by --table`;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return {
    config: {
      ...(host === "" ? {} : { host }),
      ...(url.port === "" ? {} : { port: Number(url.port) }),
      ...(user ? { user } : {}),
      ...(password ? { password } : {}),
      ...(database ? { database } : {}),
    },
    place: `${scheme}://${url.host}/${database ?? ""}`,
  };
};

/** `scheme://user:password@host:port/database/schema`. */
export const schemaUrl = (text: string, scheme: string): NamedEnd | string => {
  const named = serverUrl(text.replace(/^([^?]*?\/\/[^/?]*\/[^/?]*)\/[^?]*/, "$1"), scheme);
  if (typeof named === "string") return named;
  const schema = decoded(/^[^?]*?\/\/[^/?]*\/[^/?]*\/([^?]*)/.exec(text)?.[1] ?? "");
  if (schema === undefined) return "it has a % that begins no encoded character; write % as %25";
  if (schema === "") return named;
  return { ...named, config: { ...named.config, schema }, place: `${named.place}/${schema}` };
};

/** A table's name out of a path: of "2026/orders.csv.gz" it is "orders". Undefined for globs and for what has no name. */
export const tableOfPath = (name: string): string | undefined => {
  if (/[*?[{]/.test(name)) return undefined;
  const [stem = ""] = path.posix.basename(name).split(".");
  const table = stem.replaceAll(/\W+/g, "_");
  return /^_*$/.test(table) ? undefined : table;
};
