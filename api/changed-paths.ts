// Which paths differ between two versions of a definition, as people would name them.

const LIMIT = 100;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Lists of objects with ids are compared by id: a task that moved has not changed. */
const byId = (value: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (!Array.isArray(value) || !value.every((entry) => isObject(entry) && typeof entry["id"] === "string")) return undefined;
  return Object.fromEntries(value.map((entry: { id: string }) => [entry.id, entry]));
};

export const changedPaths = (before: unknown, after: unknown, path = ""): readonly string[] => {
  const [left, right] = [byId(before) ?? before, byId(after) ?? after];
  if (isObject(left) && isObject(right)) {
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    return keys.flatMap((key) => changedPaths(left[key], right[key], path === "" ? key : `${path}.${key}`)).slice(0, LIMIT);
  }
  return JSON.stringify(left) === JSON.stringify(right) ? [] : [path];
};
