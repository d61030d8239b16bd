// Plans of chains beside each other.

/** So many tasks of which few are ready at once: a run has all of them in its own history. */
export const inLanes = (tasks: number, lanes = 40): Readonly<Record<string, { readonly needs: readonly string[] }>> =>
  Object.fromEntries(
    Array.from({ length: tasks }, (_, index) => [`t${index}`, { needs: index < lanes ? [] : [`t${index - lanes}`] }] as const),
  );
