// Looks at a connection for the API: a check, or a list of streams. An answer is also given when it fails.

import type { Log } from "../connectors/connector.ts";
import { typeName } from "../connectors/lib/rows.ts";
import { DownbeatError } from "../core/errors.ts";
import type { InspectCall, InspectResult } from "../workflows/ports.ts";
import { roleOf, type OpenConnection, type OpenedConnection } from "./connections.ts";

/** A list beyond this is cut: it travels through Temporal. */
const MAX_STREAMS = 1_000;
const TIMEOUT_MS = 60_000;

export type Inspect = (call: InspectCall) => Promise<InspectResult>;

const inspect = (open: OpenConnection, log: Log, look: (opened: OpenedConnection) => Promise<Partial<InspectResult>>): Inspect => {
  return async ({ connection }) => {
    const started = performance.now();
    const milliseconds = (): number => Math.round(performance.now() - started);
    try {
      await using opened = await open(connection, { signal: AbortSignal.timeout(TIMEOUT_MS), log, progress: () => undefined });
      return { ok: true, ...(await look(opened)), milliseconds: milliseconds() };
    } catch (error) {
      const known = error instanceof DownbeatError ? error : new DownbeatError("INTERNAL", String(error), { cause: error });
      return { ok: false, error: { code: known.code, message: known.message }, milliseconds: milliseconds() };
    }
  };
};

export const createCheckConnection = (open: OpenConnection, log: Log): Inspect =>
  inspect(open, log, async (opened) => {
    await opened.connector.check();
    return {};
  });

export const createDiscoverConnection = (open: OpenConnection, log: Log): Inspect =>
  inspect(open, log, async (opened) => {
    const streams = await roleOf(opened, "source").discover();
    return {
      streams: streams.slice(0, MAX_STREAMS).map((stream) => ({
        name: stream.name,
        ...(stream.key === undefined ? {} : { key: stream.key }),
        columns: stream.columns.map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable })),
      })),
    };
  });
