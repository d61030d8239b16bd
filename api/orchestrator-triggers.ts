// Event triggers in Temporal: their durable owners are started, configured, told of events, asked and ended.

import { isDeepStrictEqual } from "node:util";
import { type Client, type WorkflowExecutionDescription, WorkflowNotFoundError } from "@temporalio/client";
import { DEFAULT_QUEUE, parseTriggerWorkflowId, type TriggerRef, triggerWorkflowId } from "../core/ids.ts";
import { NOT_YET, type TriggerSettings } from "../core/trigger.ts";
import {
  ofPipeline,
  TRIGGER_QUERY,
  TRIGGER_SIGNALS,
  TRIGGER_WORKFLOW,
  type TriggerInput,
  type TriggerState,
} from "../workflows/messages.ts";
import type { DagActivities, TriggerEvent } from "../workflows/ports.ts";

const WATCH_ACTIVITY: keyof DagActivities = "watchEvents";

export interface TriggerDoor {
  /** Makes sure that its owner runs and knows the settings. */
  ensure(settings: TriggerSettings): Promise<"kept" | "changed">;
  /** Starts its owner where it does not run. */
  tell(settings: TriggerSettings, event: TriggerEvent): Promise<void>;
  /** Undefined: no worker answers, or it does not run. */
  stateOf(trigger: TriggerRef): Promise<TriggerView | undefined>;
  /** Answers whether it ran. */
  remove(trigger: TriggerRef): Promise<boolean>;
  /** Those whose owner runs. */
  list(): Promise<readonly TriggerRef[]>;
}

export interface TriggerView extends TriggerState {
  /** Of a trigger that looks for its events: how many looks in a row have found nothing, and what was wrong with the last. */
  readonly looks?: { readonly without_news: number; readonly trouble: string | null };
}

type Call = <Value>(work: () => Promise<Value>, milliseconds?: number) => Promise<Value>;

/** Looks are tries of one activity: what Temporal knows of it is what there is to know. */
const looksOf = ({ raw }: WorkflowExecutionDescription): Pick<TriggerView, "looks"> => {
  const looking = raw.pendingActivities?.find(({ activityType }) => activityType?.name === WATCH_ACTIVITY);
  if (looking === undefined) return {};
  const { attempt, lastFailure } = looking;
  const failure = lastFailure?.applicationFailureInfo?.type === NOT_YET ? undefined : lastFailure;
  return { looks: { without_news: (attempt ?? 1) - 1, trouble: failure?.message ?? null } };
};

/** Who lists triggers does not wait long for a worker. */
const QUERY_TIMEOUT_MS = 3_000;

export const createTriggerDoor = (client: Client, call: Call): TriggerDoor => {
  const handleOf = (trigger: TriggerRef) => client.workflow.getHandle(triggerWorkflowId(trigger));
  const signal = async (settings: TriggerSettings, name: string, given: TriggerSettings | TriggerEvent): Promise<void> => {
    const input: TriggerInput = { settings };
    await call(() =>
      client.workflow.signalWithStart(TRIGGER_WORKFLOW, {
        workflowId: triggerWorkflowId(settings),
        taskQueue: DEFAULT_QUEUE,
        args: [input],
        signal: name,
        signalArgs: [given],
        typedSearchAttributes: ofPipeline(settings.pipeline),
        memo: { settings },
        staticSummary: `events of trigger ${settings.name} of ${settings.pipeline}`,
      }),
    );
  };
  const found = async <Value>(work: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  };
  return {
    async ensure(settings) {
      const known = await found(() => call(() => handleOf(settings).describe()));
      if (known?.status.name === "RUNNING" && isDeepStrictEqual(known.memo?.["settings"], settings)) return "kept";
      await signal(settings, TRIGGER_SIGNALS.configure, settings);
      return "changed";
    },

    tell: (settings, event) => signal(settings, TRIGGER_SIGNALS.event, event),

    async stateOf(trigger) {
      const handle = handleOf(trigger);
      try {
        const [state, described] = await Promise.all([
          call(() => handle.query<TriggerState>(TRIGGER_QUERY), QUERY_TIMEOUT_MS),
          call(() => handle.describe(), QUERY_TIMEOUT_MS),
        ]);
        return { ...state, ...looksOf(described) };
      } catch {
        return undefined;
      }
    },

    async remove(trigger) {
      const ended = await found(async () => {
        await call(() => handleOf(trigger).terminate("the pipeline has no such trigger any more"));
        return true;
      });
      return ended ?? false;
    },

    list: () =>
      call(async () => {
        const running: TriggerRef[] = [];
        const query = `WorkflowType = "${TRIGGER_WORKFLOW}" AND ExecutionStatus = "Running"`;
        for await (const { workflowId } of client.workflow.list({ query })) {
          const ref = parseTriggerWorkflowId(workflowId);
          if (ref !== undefined) running.push(ref);
        }
        return running;
      }),
  };
};
