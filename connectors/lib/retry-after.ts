// What other systems say of when to come back.

/** Of a Retry-After header: seconds, or a date; RFC 9110, 10.2.3. Undefined: it says nothing that can be read. */
export const retryAfterMs = (value: string | null | undefined): number | undefined => {
  if (value === null || value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const moment = Date.parse(value);
  return Number.isNaN(moment) ? undefined : Math.max(moment - Date.now(), 0);
};
