// One case of a contract suite as data, so that any runner can run it: the project's tests and `npm run connector:check` alike.

export interface ContractCase {
  readonly name: string;
  /** Rejects with an AssertionError, or with whatever the connector threw. */
  readonly run: () => Promise<void>;
}

/** Cases that a connector cannot do, by name, and why. */
export interface Skip {
  readonly reason: string;
  readonly tests: readonly string[];
}

/** A case that is skipped keeps its place and carries its reason. */
export interface SelectedCase extends ContractCase {
  readonly skipped?: string;
}

/** Applies skips; a skip without a reason, or one that names no case, is a mistake and throws. */
export const selectCases = (cases: readonly ContractCase[], skips: readonly Skip[] = []): readonly SelectedCase[] => {
  const reasons = new Map<string, string>();
  for (const { reason, tests } of skips) {
    if (reason.trim() === "") throw new Error(`a skip needs a reason: ${tests.join(", ")}`);
    for (const test of tests) {
      if (!cases.some(({ name }) => name === test)) throw new Error(`there is no contract case "${test}" to skip`);
      reasons.set(test, reason);
    }
  }
  return cases.map((entry) => {
    const skipped = reasons.get(entry.name);
    return skipped === undefined ? entry : { ...entry, skipped };
  });
};
