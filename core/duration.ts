// Durations and moments as people write them: ISO 8601 ("PT5M", "P1DT2H") or short ("500ms", "30s", "1h30m"), to milliseconds.

const SHORT_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SHORT = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const SHORT_PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;
/** Years and months have no fixed length, so they are not durations here. */
const ISO = /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const ISO_UNITS = [7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000] as const;

/** Whole milliseconds, or undefined when the text is not a duration. */
export const parseDuration = (text: string): number | undefined => {
  const milliseconds = text.length > MOST_LENGTH ? undefined : read(text);
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
};

const MOST_LENGTH = 100;

const read = (text: string): number | undefined => {
  if (SHORT.test(text)) {
    let sum = 0;
    for (const [, amount, unit] of text.matchAll(SHORT_PART)) sum += Number(amount) * (SHORT_UNITS[unit ?? ""] ?? 0);
    return Math.round(sum);
  }
  const parts = ISO.exec(text)?.slice(1);
  if (parts === undefined || parts.every((part) => part === undefined)) return undefined;
  return Math.round(parts.reduce((sum, part, index) => sum + Number(part ?? 0) * (ISO_UNITS[index] ?? 0), 0));
};

export const DURATION_HINT = 'write "30s", "5m", "2h", "1d" or ISO 8601 such as "PT5M"';

const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970 of an ISO 8601 moment with its zone, or undefined. */
export const parseMoment = (text: string): number | undefined => {
  const milliseconds = MOMENT.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
};

export const MOMENT_HINT = 'write ISO 8601 with a zone, such as "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"';
