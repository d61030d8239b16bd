// What taps have in common when they are asked for a stream.

import { DownbeatError } from "../../../core/errors.ts";
import type { Column } from "../../batch.ts";
import type { StreamRequest } from "../../connector.ts";
import type { TapPosition } from "./read-messages.ts";
import type { Tap } from "./tap.ts";

export interface TapRequest {
  /** Whether the load goes on from states. */
  readonly keepsState: boolean;
  /** The state to begin with, as JSON text. */
  readonly state: string | undefined;
  /** Types that the task gives. */
  readonly columns: readonly Column[];
}

/** Throws for what no tap can do. */
export const tapRequest = ({ query, lookbackMs = 0, cursor, position, options }: StreamRequest): TapRequest => {
  if (query !== undefined) throw new DownbeatError("SOURCE_OPTIONS_INVALID", "a tap is read by stream, not by query");
  if (lookbackMs > 0)
    throw new DownbeatError(
      "SOURCE_OPTIONS_INVALID",
      "a tap goes on from its own state; how far it goes back is said in its config, not by lookback",
    );
  const keepsState = cursor !== undefined || options["incremental"] === true;
  return {
    keepsState,
    state: keepsState ? (position as TapPosition | null)?.state : undefined,
    columns: (options["columns"] as readonly Column[] | undefined) ?? [],
  };
};

const SHOWN_STREAMS = 20;

export const streamNotFound = (stream: string, names: readonly string[]): DownbeatError => {
  const shown = names.slice(0, SHOWN_STREAMS).join(", ");
  return new DownbeatError(
    "SOURCE_STREAM_NOT_FOUND",
    `the tap has no stream "${stream}"; it has ${names.length > SHOWN_STREAMS ? `${names.length}, among them ` : ""}${shown || "none"}`,
  );
};

/** The tap's configuration as a file's content. */
export const configFile = (tap: Tap): Readonly<Record<string, string>> => ({ "--config": JSON.stringify(tap.config) });

/** Asks once for as long as the answers are good. */
export const remembered = <Value>(ask: () => Promise<Value>): (() => Promise<Value>) => {
  let answer: Promise<Value> | undefined;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
};
