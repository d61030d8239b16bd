// What can still be checked of a definition that does not fit the schema: what is wrong is replaced by something that is not, so that one answer has all that is wrong.

import { formatPath, type Issue, type IssueCode } from "./issues.ts";

/** The definition with sound parts in the place of those that are not. */
export interface Salvaged {
  readonly value: Readonly<Record<string, unknown>>;
  /** Whether what is found in it is true of what was written, too. */
  readonly isTrue: (issue: Pick<Issue, "code" | "path">) => boolean;
}

export interface SchemaFault {
  readonly path: readonly PropertyKey[];
  /** Keys that are not known there. */
  readonly keys?: readonly string[];
}

/** These are looked for beside the schema. */
const OF_THE_GRAPH: ReadonlySet<IssueCode> = new Set([
  "DUPLICATE_TASK_ID",
  "UNKNOWN_DEPENDENCY",
  "SELF_DEPENDENCY",
  "DUPLICATE_DEPENDENCY",
  "CYCLE",
]);

/** Without them too much else would be taken for wrong. */
const NEEDED: readonly string[] = ["apiVersion", "name", "params", "tasks", "defaults"];

/** True of a task whatever else is wrong with it: what its connections are and take. */
const OF_CONNECTIONS: ReadonlySet<IssueCode> = new Set([
  "UNKNOWN_CONNECTION",
  "UNKNOWN_CONNECTOR",
  "ROLE_MISMATCH",
  "UNKNOWN_KEY",
  "INVALID_OPTIONS",
]);

/** A task that has nothing wrong with it, in the place of one that has too much. */
const soundTask = ({ id, needs, finally: isFinally }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  id,
  needs: Array.isArray(needs) ? needs.filter((need) => typeof need === "string") : [],
  ...(isFinally === true ? { finally: true } : {}),
  wait: { for: "1s" },
});

/** A task without the parts that are wrong. It may then lack what it needs. */
const withoutFaults = (task: unknown, faults: readonly SchemaFault[]): unknown => {
  const rest: unknown = structuredClone(task);
  for (const { path, keys } of faults) {
    if (keys !== undefined) removeKeys(rest, path, keys);
    else {
      // A list is dropped with its element: without that it would be another one.
      const element = path.findIndex((part) => typeof part === "number");
      const place = element === -1 ? path : path.slice(0, element);
      removeKeys(rest, place.slice(0, -1), place.slice(-1));
    }
  }
  return rest;
};

/** `lost`: the places of tasks that have to be replaced as a whole. Undefined where too little would be left. */
export const salvage = (value: unknown, faults: readonly SchemaFault[], lost: ReadonlySet<number>): Salvaged | undefined => {
  const written = value as Readonly<Record<string, unknown>>;
  const { tasks } = (written ?? {}) as { readonly tasks?: unknown };
  if (!Array.isArray(tasks)) return undefined;
  const sound = structuredClone({ ...written, tasks: [] }) as Readonly<Record<string, unknown>>;
  const faultyTasks = new Map<number, SchemaFault[]>();
  const dropped = new Set<string>();
  /** An unknown key may have been meant as `needs`, or as `params`. */
  let knowsNames = true;
  for (const { path, keys } of faults) {
    const [first, second] = path;
    if (first === undefined && keys !== undefined) {
      for (const key of keys) dropped.add(key);
      knowsNames = false;
    } else if (typeof first !== "string") return undefined;
    else if (first === "tasks" && typeof second === "number") {
      const own = faultyTasks.get(second) ?? [];
      own.push({ path: path.slice(2), ...(keys === undefined ? {} : { keys }) });
      faultyTasks.set(second, own);
      if ((keys !== undefined && path.length === 2) || path[2] === "needs") knowsNames = false;
      if (path[2] === "id") return undefined;
    } else if (NEEDED.includes(first)) return undefined;
    else if (keys === undefined) dropped.add(first);
    else removeKeys(sound, path, keys);
  }
  const kept = Object.entries(sound).filter(([key]) => !dropped.has(key));
  const places = [...faultyTasks.keys()].map((place) => formatPath(["tasks", place]));
  const isWithin = (path: string, part: string): boolean => path === part || path.startsWith(`${part}.`) || path.startsWith(`${part}[`);
  return {
    value: {
      ...Object.fromEntries(kept),
      tasks: tasks.map((task: unknown, place) => {
        if (lost.has(place)) return soundTask((task ?? {}) as Readonly<Record<string, unknown>>);
        const own = faultyTasks.get(place);
        return own === undefined ? task : withoutFaults(task, own);
      }),
    },
    isTrue: ({ code, path }) =>
      !OF_THE_GRAPH.has(code) &&
      (knowsNames || code !== "UNKNOWN_REFERENCE") &&
      (OF_CONNECTIONS.has(code) || !places.some((place) => isWithin(path, place))),
  };
};

const removeKeys = (root: unknown, path: readonly PropertyKey[], keys: readonly PropertyKey[]): void => {
  const place = path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | null | undefined)?.[part], root);
  if (typeof place !== "object" || place === null) return;
  for (const key of keys) Reflect.deleteProperty(place, key);
};
