// Structured logs: JSON lines, or one readable line each on a terminal; Temporal's own go the same way.

import { DefaultLogger } from "@temporalio/worker";
import { pino, type Logger } from "pino";
import type { LogLevel } from "./config.ts";

export type { Logger };

const REDACTED = ["password", "token", "secret", "authorization", "apiKey", "*.password", "*.token", "*.secret", "config"];

/** Logs go to standard error, so that standard output stays for answers. */
export const createLogger = (level: LogLevel, process: string): Logger =>
  pino({ level, base: { process }, redact: REDACTED, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));

const LEVELS = { TRACE: "debug", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/** The SDK's messages are for operators: its INFO is our debug. */
export const temporalLogger = (log: Logger): DefaultLogger =>
  new DefaultLogger("INFO", ({ level, message, meta }) => {
    const ours = level === "INFO" ? "debug" : LEVELS[level];
    log[ours]({ ...meta }, message);
  });
