// Finds a server program by an order of ways, and says of each failed one why and what comes next.
import { DownbeatError } from "../../core/errors.ts";
import type { Say } from "./say.ts";

export interface Way<T> {
  readonly name: string;
  /** Throws an error whose message says why this way is closed. */
  readonly attempt: () => Promise<T>;
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The first way that leads to the server; SERVICE_MISSING with every reason and what to install when none does. */
export const firstWay = async <T>(server: string, ways: readonly Way<T>[], say: Say, advice: string): Promise<T> => {
  const reasons: string[] = [];
  for (const [index, way] of ways.entries()) {
    try {
      return await way.attempt();
    } catch (error) {
      const why = `${way.name}: ${reason(error)}`;
      reasons.push(why);
      const next = ways[index + 1];
      if (next !== undefined) say(`${server}: ${why} → ${next.name}`);
    }
  }
  throw new DownbeatError("SERVICE_MISSING", `${server} cannot be had on this machine. Tried ${reasons.join("; ")}. ${advice}`, {
    details: { server, reasons },
  });
};
