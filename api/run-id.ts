// Ids of runs: in the order of time, or the same for the same idempotency key.

import { createHash, randomUUID } from "node:crypto";

/** Sorts by time; the rest is random (UUID version 7, RFC 9562). */
const newRunId = (): string => {
  const time = Date.now().toString(16).padStart(12, "0");
  const random = randomUUID().replaceAll("-", "");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${random.slice(16, 20)}-${random.slice(20)}`;
};

/** The same key always names the same run, also when two requests race. */
export const runIdFor = (pipeline: string, key: string | undefined): string => {
  if (key === undefined) return newRunId();
  const digest = createHash("sha256").update(`${pipeline}\0${key}`).digest("hex");
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
};
