// Tries a connection before anything is copied; asks for the password where that is what it lacks and somebody can answer.

import type { OpenConnection } from "../../activities/connections.ts";
import type { Log } from "../../connectors/connector.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Asking } from "./ask.ts";
import type { Display } from "./display.ts";
import type { End, EndRole } from "./end.ts";

export interface CheckDeps {
  readonly open: OpenConnection;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly display: Display;
  /** Undefined: nobody is there to be asked. */
  readonly asking: Asking | undefined;
}

const WRONG_PASSWORD = new Set(["SOURCE_AUTH", "DESTINATION_AUTH"]);

/** The end as it works, with the password that was asked for. Throws what the connection throws. */
export const checkEnd = async (role: EndRole, ends: Map<EndRole, End>, deps: CheckDeps): Promise<void> => {
  const end = ends.get(role);
  const check = async (): Promise<void> => {
    deps.display.status(`connecting to ${end?.place}`);
    try {
      await using opened = await deps.open(role, { signal: deps.signal, log: deps.log, progress: () => undefined });
      await opened.connector.check();
    } finally {
      deps.display.status(undefined);
    }
  };
  try {
    await check();
  } catch (error) {
    const lacksPassword = end !== undefined && "password" in end.spec.config.shape && end.config["password"] === undefined;
    const isRefused = error instanceof DownbeatError && WRONG_PASSWORD.has(error.code);
    if (!lacksPassword || !isRefused || deps.asking === undefined) throw error;
    const password = await deps.asking.password(`Password of ${String(end.config["user"] ?? "the user")} for ${end.place}: `);
    ends.set(role, { ...end, config: { ...end.config, password } });
    await check();
  }
};
