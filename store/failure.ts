// Turns what database drivers throw into STORE_UNAVAILABLE where the store is away; passes everything else on.

import { DownbeatError } from "../core/errors.ts";

/** Server answers carry an SQLSTATE. Only these classes mean that it is going away or full. */
const SQLSTATE = /^[0-9A-Z]{5}$/;
const AWAY = /^(08|57P|53)/;
/** What happens before there is an answer carries Node's codes */
const AWAY_NODE = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"]);

/** or, from the pool and PGlite, a text alone. Never asked of a server's answer, which may quote what users wrote. */
const AWAY_TEXT = /timeout|terminated|closed/i;

const isAway = (code: string, message: string): boolean =>
  AWAY_NODE.has(code) || (SQLSTATE.test(code) ? AWAY.test(code) : AWAY_TEXT.test(message));

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
    const message = messageOf(error);
    if (isAway(codeOf(error), message)) {
      throw new DownbeatError("STORE_UNAVAILABLE", `the store does not answer: ${message}`, { cause: error });
    }
    throw error;
  }
};
