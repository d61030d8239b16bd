// Turns what database drivers throw into STORE_UNAVAILABLE where the store is away; passes everything else on.

import { DownbeatError } from "../core/errors.ts";

/** SQLSTATE classes of a server that is away or full, and the driver's own codes. */
const AWAY = /^(08|57P|53)/;
const AWAY_NODE = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"]);

const codeOf = (error: unknown): string => {
  for (let current = error; typeof current === "object" && current !== null; current = (current as { cause?: unknown }).cause) {
    const { code } = current as { code?: unknown };
    if (typeof code === "string") return code;
  }
  return "";
};

const messageOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
};

export const storeCall = async <Value>(call: () => Promise<Value>): Promise<Value> => {
  try {
    return await call();
  } catch (error) {
    if (error instanceof DownbeatError) throw error;
    const code = codeOf(error);
    const message = messageOf(error);
    if (AWAY.test(code) || AWAY_NODE.has(code) || /timeout|terminated|closed/i.test(message)) {
      throw new DownbeatError("STORE_UNAVAILABLE", `the store does not answer: ${message}`, { cause: error });
    }
    throw error;
  }
};
