// Structured logs: JSON lines, or one readable line each on a terminal; Temporal's own go the same way.

import { isatty } from "node:tty";
import { DefaultLogger } from "@temporalio/worker";
import { pino, type DestinationStream, type Logger } from "pino";
import type { LogLevel } from "./config.ts";

export type { Logger };

const SECRETS = ["password", "token", "secret", "authorization", "cookie", "apiKey", '["x-api-key"]', "connectionString"];
const at = (parent: string, name: string): string => (name.startsWith("[") ? `${parent}${name}` : `${parent}.${name}`);
/** As deep as our log fields go; a connection's configuration is never shown. */
const REDACTED = ["config", "*.config", ...SECRETS.flatMap((name) => [name, at("*", name), at("*.*", name)])];

/** Logs go to standard error, so that standard output stays for answers. */
export const createLogger = (
  level: LogLevel,
  process: string,
  to: DestinationStream = isatty(2) ? readable(pino.destination({ fd: 2, sync: true })) : pino.destination(2),
): Logger => pino({ level, base: { process }, redact: REDACTED, timestamp: pino.stdTimeFunctions.isoTime }, to);

const LEVEL_NAMES: Readonly<Record<number, string>> = { 10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARN", 50: "ERROR", 60: "FATAL" };

/** Time, level, message, then the fields; an error's stack goes below. */
export const readable = (to: DestinationStream): DestinationStream => ({
  write(line) {
    const { time, level, msg, process: _process, err, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const error = err as { readonly message?: string; readonly stack?: string } | string | undefined;
    const reason = typeof error === "string" ? error : error?.message;
    const pairs = Object.entries({ ...fields, ...(reason === undefined ? {} : { err: reason }) }).map(
      ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    const clock = String(time).slice(11, 23);
    const text = [clock, LEVEL_NAMES[Number(level)]?.padEnd(5), msg, ...pairs].filter((part) => part !== undefined).join(" ");
    const stack = typeof error === "object" && Number(level) >= 50 ? `\n${error.stack ?? ""}` : "";
    to.write(`${text}${stack}\n`);
  },
});

const LEVELS = { TRACE: "debug", DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error" } as const;

/** The SDK's messages are for operators: its INFO is our debug. */
export const temporalLogger = (log: Logger): DefaultLogger =>
  new DefaultLogger("INFO", ({ level, message, meta }) => {
    const ours = level === "INFO" ? "debug" : LEVELS[level];
    // An error has nothing that JSON would show.
    const { error, ...fields } = { ...meta } as Readonly<Record<string, unknown>>;
    const shown = error === undefined ? {} : { err: error instanceof Error ? error.message : error };
    log[ours]({ ...fields, ...shown }, message);
  });
