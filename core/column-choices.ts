// What of a source's columns a transfer takes into its table: what cannot be meant, and what becomes of the columns that there are.

import type { ColumnChoices } from "./definition-columns.ts";
import { isTemplate } from "./templates.ts";

interface ChoiceFault {
  /** Within `columns`, or within `to` for keys. */
  readonly at: readonly ["columns", ...(string | number)[]] | readonly ["to", "key", number];
  readonly message: string;
}

const LISTS = ["select", "omit", "hash", "redact"] as const;

const quoted = (all: readonly string[]): string => all.map((name) => `"${name}"`).join(", ");

/** Everything that is wrong whatever columns the source has. `keys`: those by which rows are merged, as the table names them. */
export const choiceFaults = (choices: ColumnChoices, keys: readonly string[]): readonly ChoiceFault[] => {
  const faults: ChoiceFault[] = [];
  const { select, omit, hash = [], hash_key: hashKey, redact = [] } = choices;
  const renamed = new Map(Object.entries(choices.rename ?? {}));
  const fault = (at: ChoiceFault["at"], message: string): void => void faults.push({ at, message });
  const isKept = (name: string): boolean => (select === undefined || select.includes(name)) && omit?.includes(name) !== true;

  if (select !== undefined && omit !== undefined)
    fault(["columns", "omit"], "columns are either selected or omitted; leave one of the two out");
  if (hashKey !== undefined && hash.length === 0)
    fault(["columns", "hash_key"], "there is nothing to hash with it; name columns in `hash`");
  for (const list of LISTS) {
    for (const [index, name] of (choices[list] ?? []).entries())
      if (choices[list]?.indexOf(name) !== index) fault(["columns", list, index], `"${name}" is there twice`);
  }
  for (const name of Object.keys(choices.cast ?? {})) {
    if (!isKept(name)) fault(["columns", "cast", name], `"${name}" is left out already`);
    else if (hash.includes(name)) fault(["columns", "cast", name], `"${name}" is hashed, and hashes are text`);
    else if (redact.includes(name)) fault(["columns", "cast", name], `"${name}" is redacted; there is no value to cast`);
  }
  for (const list of ["hash", "redact"] as const) {
    for (const [index, name] of (choices[list] ?? []).entries())
      if (!isKept(name)) fault(["columns", list, index], `"${name}" is left out already`);
  }
  for (const [index, name] of redact.entries())
    if (hash.includes(name)) fault(["columns", "redact", index], `"${name}" is either hashed or redacted; leave it out of one of the two`);
  const taken = new Map<string, string>();
  for (const name of select ?? []) if (!renamed.has(name)) taken.set(name, name);
  for (const [from, to] of renamed) {
    const other = taken.get(to);
    if (!isKept(from)) fault(["columns", "rename", from], `"${from}" is left out already`);
    else if (other !== undefined) fault(["columns", "rename", from], `"${from}" and "${other}" would both be "${to}"`);
    taken.set(to, from);
  }
  for (const [index, key] of keys.entries()) {
    if (isTemplate(key)) continue;
    const from = taken.get(key) ?? key;
    const to = renamed.get(from);
    if (to !== undefined && to !== key) fault(["to", "key", index], `"${key}" is renamed to "${to}", which is what the table has`);
    else if (!isKept(from)) fault(["to", "key", index], `"${key}" is left out by \`columns\`, and rows cannot be merged without it`);
    else if (redact.includes(from)) fault(["to", "key", index], `"${key}" is redacted, and NULLs make no key; hash it instead`);
  }
  return faults;
};

/** One column of the table. */
export interface ChosenColumn {
  /** Place in the source's schema. */
  readonly place: number;
  readonly name: string;
  readonly how: "as it is" | "cast" | "hashed" | "redacted";
  /** With cast: the name of the type. */
  readonly type?: string;
}

/** The table's columns, or why there can be none. */
export const chosenColumns = (choices: ColumnChoices, columns: readonly string[]): readonly ChosenColumn[] | string => {
  const { select, omit = [], hash = [], redact = [] } = choices;
  const renamed = new Map(Object.entries(choices.rename ?? {}));
  const types = new Map(Object.entries(choices.cast ?? {}));
  const places = new Map(columns.map((name, place) => [name, place]));
  const named = new Set([...(select ?? []), ...omit, ...renamed.keys(), ...types.keys(), ...hash, ...redact]);
  const missing = [...named].filter((name) => !places.has(name));
  if (missing.length > 0) return `there is no ${quoted(missing)}; there are ${quoted(columns)}`;
  const chosen = (select ?? columns.filter((name) => !omit.includes(name))).map((name): ChosenColumn => {
    const column = { place: places.get(name) ?? -1, name: renamed.get(name) ?? name };
    const type = types.get(name);
    if (redact.includes(name)) return { ...column, how: "redacted" };
    if (hash.includes(name)) return { ...column, how: "hashed" };
    return type === undefined ? { ...column, how: "as it is" } : { ...column, how: "cast", type };
  });
  const result = chosen.map(({ name }) => name);
  const doubled = result.filter((name, index) => result.indexOf(name) !== index);
  if (doubled.length > 0) return `two columns would be ${quoted(doubled)}`;
  if (chosen.length === 0) return "no column is left";
  return chosen;
};

/** Whether something of a row must not be seen outside the worker. */
export const hidesColumns = ({ select, omit, hash, redact }: ColumnChoices): boolean =>
  [select, omit, hash, redact].some((list) => list !== undefined);
