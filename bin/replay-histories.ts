// Replays the newest histories of a Temporal namespace against one build of the workflows, and says what becomes of each.

import { type Client, type ConnectionLike, type WorkflowExecutionInfo } from "@temporalio/client";
import { Worker, type ReplayHistoriesIterable, type WorkflowBundle } from "@temporalio/worker";
import { DATA_CONVERTER } from "../api/payload-codec.ts";
import { temporalClient } from "../api/orchestrator-client.ts";
import { DownbeatError } from "../core/errors.ts";
import { INSPECT_WORKFLOW } from "../workflows/messages.ts";
import { reasonOf } from "./temporal.ts";

/** All workflows of ours but looks at connections, which decide nothing and would crowd the others out. */
export const DEFAULT_QUERY = `WorkflowId STARTS_WITH "downbeat/" AND WorkflowType != "${INSPECT_WORKFLOW}"`;

export interface ReplayOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly query: string;
  readonly limit: number;
  /** Asked for when there is something to replay. */
  readonly bundle: () => Promise<WorkflowBundle>;
}

export interface Replayed {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  /** Temporal's word for it, in lower case. */
  readonly status: string;
  readonly events: number;
  readonly end: "same" | "breaks" | "skipped";
  /** Of one that breaks: the event that the build does not agree with, where the SDK names it. */
  readonly event?: number;
  readonly reason?: string;
}

type Facts = Omit<Replayed, "end" | "event" | "reason">;

/** One result for each execution that the query finds, newest first, at most `limit`. Throws NOT_FOUND when there is none. */
export async function* replayNewest(options: ReplayOptions): AsyncGenerator<Replayed> {
  const { connection, namespace, bundle } = options;
  const client = temporalClient({ connection, namespace });
  const found = await newest(client, options);
  if (found.length === 0) {
    const message = `namespace "${namespace}" has no workflow that fits ${options.query}; check --namespace and --query: nothing was replayed`;
    throw new DownbeatError("NOT_FOUND", message);
  }
  // The SDK takes one history at a time and answers before it takes the next.
  let current: Facts | undefined;
  let skipped: Replayed[] = [];
  const histories = async function* (): ReplayHistoriesIterable {
    for (const { workflowId, runId, type, status } of found) {
      const facts = { workflowId, runId, type, status: status.name.toLowerCase() };
      const fetched = await historyOf(client, workflowId, runId);
      if ("gone" in fetched) {
        skipped.push({ ...facts, events: 0, end: "skipped", reason: fetched.gone });
        continue;
      }
      const { events = [] } = fetched.history;
      if (!(events ?? []).some((event) => event.workflowTaskCompletedEventAttributes)) {
        skipped.push({ ...facts, events: events?.length ?? 0, end: "skipped", reason: "no worker has decided anything in it yet" });
        continue;
      }
      current = { ...facts, events: events?.length ?? 0 };
      yield { workflowId, history: fetched.history };
    }
  };
  for await (const { error } of Worker.runReplayHistories({ workflowBundle: await bundle(), dataConverter: DATA_CONVERTER }, histories())) {
    yield* skipped;
    skipped = [];
    if (current !== undefined) yield error === undefined ? { ...current, end: "same" } : { ...current, end: "breaks", ...faultOf(error) };
  }
  yield* skipped;
}

const newest = async (client: Client, { query, limit, namespace }: ReplayOptions): Promise<readonly WorkflowExecutionInfo[]> => {
  const found: WorkflowExecutionInfo[] = [];
  try {
    for await (const execution of client.workflow.list({ query, pageSize: Math.min(limit, 1_000) })) {
      found.push(execution);
      if (found.length >= limit) break;
    }
  } catch (error) {
    const message = `namespace "${namespace}" could not be searched for ${query}: ${reasonOf(error)}`;
    throw new DownbeatError("TEMPORAL_UNAVAILABLE", message, { cause: error });
  }
  return found;
};

/** An execution may pass its retention between the search and this. */
const historyOf = async (client: Client, workflowId: string, runId: string) => {
  try {
    return { history: await client.workflow.getHandle(workflowId, runId).fetchHistory() };
  } catch (error) {
    return { gone: `its history could not be fetched: ${reasonOf(error)}` };
  }
};

/** The SDK's core writes a whole structure; what it says to people is the first message in it. */
const faultOf = ({ message }: Error): Pick<Replayed, "event" | "reason"> => {
  const reason = /message: \\?"(.+?)\\?", source:/s.exec(message)?.[1] ?? message;
  const event = /HistoryEvent\(id: (\d+)/.exec(message)?.[1];
  return { reason, ...(event === undefined ? {} : { event: Number(event) }) };
};
