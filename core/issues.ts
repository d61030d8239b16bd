// Faults of a definition: what, where, and what to do. All of them at once.

export const ISSUE_CODES = [
  "DEFINITION_MALFORMED",
  "UNKNOWN_KEY",
  "MISSING_KEY",
  "INVALID_VALUE",
  "DUPLICATE_TASK_ID",
  "UNKNOWN_DEPENDENCY",
  "SELF_DEPENDENCY",
  "DUPLICATE_DEPENDENCY",
  "CYCLE",
  "UNKNOWN_OPERATOR",
  "NO_OPERATOR",
  "SEVERAL_OPERATORS",
  "UNKNOWN_CONNECTION",
  "UNKNOWN_CONNECTOR",
  "ROLE_MISMATCH",
  "MODE_UNSUPPORTED",
  "INVALID_OPTIONS",
  "INVALID_DURATION",
  "INVALID_EXPRESSION",
  "UNKNOWN_REFERENCE",
  "UNKNOWN_ACTIVITY",
  "UNKNOWN_POOL",
  "UNKNOWN_PIPELINE",
  "INVALID_SCHEDULE",
  "DUPLICATE_SCHEDULE",
  "INVALID_TRIGGER",
  "DUPLICATE_TRIGGER",
  "TOO_MANY_TASKS",
  "TOO_LARGE",
] as const;

export type IssueCode = (typeof ISSUE_CODES)[number];

export type PathPart = string | number;

export interface Issue {
  readonly code: IssueCode;
  /** As people write it: `tasks[3].needs[1]`; empty for the whole document. */
  readonly path: string;
  readonly message: string;
  /** What would have been right, where that is a short list. */
  readonly known?: readonly string[];
  /** From 1, where the definition came as text. */
  readonly line?: number;
  readonly column?: number;
}

/** Finds line and column of a path in the text it was parsed from. */
export type Locate = (path: readonly PathPart[]) => { readonly line: number; readonly column: number } | undefined;

/** Notes one fault. */
export type Fault = (code: IssueCode, path: readonly PathPart[], message: string, known?: readonly string[]) => void;

/** Collects faults into issues with their places. */
export const collectIssues = (locate: Locate): { readonly issues: readonly Issue[]; readonly fault: Fault } => {
  const issues: Issue[] = [];
  const fault: Fault = (code, path, message, known) => {
    const shortened = known === undefined ? {} : { known: known.slice(0, MOST_KNOWN) };
    issues.push({ code, path: formatPath(path), message, ...shortened, ...locate(path) });
  };
  return { issues, fault };
};

const MOST_KNOWN = 50;

export const formatPath = (parts: readonly PathPart[]): string =>
  parts.reduce<string>((text, part) => (typeof part === "number" ? `${text}[${part}]` : text === "" ? part : `${text}.${part}`), "");

/** The known word nearest to a mistyped one, when it is near enough to be meant. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const allowed = Math.max(1, Math.floor(candidate.length / 3));
    if (Math.abs(candidate.length - word.length) > allowed) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= allowed && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { candidate, distance };
  }
  return best?.candidate;
};

export const didYouMean = (word: string, known: readonly string[]): string => {
  const candidate = nearest(word, known);
  if (candidate !== undefined) return `; did you mean "${candidate}"?`;
  return known.length > 0 && known.length <= 12 ? `; known: ${known.join(", ")}` : "";
};

/** Insertions, deletions, substitutions and swaps of neighbours. */
const editDistance = (left: string, right: string): number => {
  let beforePrevious: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      const swap =
        left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1] ? (beforePrevious[column - 2] ?? 0) + 1 : Infinity;
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution, swap));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[right.length] ?? 0;
};
