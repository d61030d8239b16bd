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

/** A task that has nothing wrong with it, in the place of one that has. */
const soundTask = ({ id, needs, finally: isFinally }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  id,
  needs: Array.isArray(needs) ? needs.filter((need) => typeof need === "string") : [],
  ...(isFinally === true ? { finally: true } : {}),
  wait: { for: "1s" },
});

/** Undefined where too little would be left. */
export const salvage = (value: unknown, faults: readonly SchemaFault[]): Salvaged | undefined => {
  const written = value as Readonly<Record<string, unknown>>;
  const { tasks } = (written ?? {}) as { readonly tasks?: unknown };
  if (!Array.isArray(tasks)) return undefined;
  const sound = structuredClone({ ...written, tasks: [] }) as Readonly<Record<string, unknown>>;
  const faultyTasks = new Set<number>();
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
      faultyTasks.add(second);
      if ((keys !== undefined && path.length === 2) || path[2] === "needs") knowsNames = false;
      if (path[2] === "id") return undefined;
    } else if (NEEDED.includes(first)) return undefined;
    else if (keys === undefined) dropped.add(first);
    else removeKeys(sound, path, keys);
  }
  const kept = Object.entries(sound).filter(([key]) => !dropped.has(key));
  const places = [...faultyTasks].map((place) => formatPath(["tasks", place]));
  const isWithin = (path: string, part: string): boolean => path === part || path.startsWith(`${part}.`) || path.startsWith(`${part}[`);
  return {
    value: {
      ...Object.fromEntries(kept),
      tasks: tasks.map((task: unknown, place) => (faultyTasks.has(place) ? soundTask(task as Readonly<Record<string, unknown>>) : task)),
    },
    isTrue: ({ code, path }) =>
      !OF_THE_GRAPH.has(code) && (knowsNames || code !== "UNKNOWN_REFERENCE") && !places.some((place) => isWithin(path, place)),
  };
};

const removeKeys = (root: object, path: readonly PropertyKey[], keys: readonly string[]): void => {
  const place = path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown>)[part], root);
  for (const key of keys) Reflect.deleteProperty(place as object, key);
};
