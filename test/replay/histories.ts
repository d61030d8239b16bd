// Recorded histories as JSON files: written by the recorder, read back for a replay.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import proto from "@temporalio/proto";
import type { ReplayHistoriesIterable } from "@temporalio/worker";

const { History } = proto.temporal.api.history.v1;
type History = Parameters<typeof History.encode>[0];

export interface RecordedHistory {
  readonly name: string;
  readonly history: History;
}

const FOLDER = path.join(import.meta.dirname, "histories");

/** Stack traces are left out: they name folders of the machine, and a replay does not look at them. */
export const historyText = (history: History): string => {
  const plain = History.toObject(History.fromObject(history), { bytes: String, enums: String, longs: String });
  return `${JSON.stringify(plain, (key, value: unknown) => (key === "stackTrace" ? undefined : value))}\n`;
};

/** Undefined: nothing has been recorded yet, as before a first release. */
export const recordedHistories = (): readonly RecordedHistory[] | undefined => {
  if (!existsSync(FOLDER)) return undefined;
  return readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .map((name) => ({ name, history: History.fromObject(JSON.parse(readFileSync(path.join(FOLDER, name), "utf8")) as History) }));
};

/** In the form that the SDK replays: under the id that the workflow had, since what it sends names it. */
export const replayable = async function* (histories: readonly RecordedHistory[]): ReplayHistoriesIterable {
  for (const { name, history } of histories) {
    const { workflowId } = history.events?.[0]?.workflowExecutionStartedEventAttributes ?? {};
    yield { workflowId: workflowId ?? name, history };
  }
};
