// Keys under which actions were carried out: the same request under one of them acts once, another request is told apart.

export interface Keyed {
  /** The caller's. */
  readonly key: string;
  /** A digest of all that was asked under it. Absent: an older release asked, and any request counts as the same. */
  readonly requestHash?: string;
}

/** As it travels with a state; a key alone is an older release's. */
export type ActedKey = string | readonly [key: string, requestHash: string];

export const actedKey = ({ key, requestHash }: Keyed): ActedKey => (requestHash === undefined ? key : [key, requestHash]);

/** `same`: this very request was carried out before; `other`: one that was not this. */
export const keyUse = (acted: readonly ActedKey[], { key, requestHash }: Partial<Keyed>): "new" | "same" | "other" => {
  if (key === undefined) return "new";
  const found = acted.find((one) => (typeof one === "string" ? one : one[0]) === key);
  if (found === undefined) return "new";
  const [, before] = typeof found === "string" ? [] : found;
  return before === undefined || requestHash === undefined || before === requestHash ? "same" : "other";
};

/** Of IDEMPOTENCY_KEY_REUSED. */
export const keyReused = (key = ""): string =>
  `the idempotency key "${key}" belongs to an action that was carried out and is another one, or has another body; use a key of its own for each`;
