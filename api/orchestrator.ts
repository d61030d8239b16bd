// The API's one door to Temporal: starts, follows, cancels and describes runs.

import {
  isGrpcDeadlineError,
  isGrpcServiceError,
  NamespaceNotFoundError,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type ConnectionLike,
  type WorkflowClientInterceptor,
} from "@temporalio/client";
import { randomUUID } from "node:crypto";
import type { Keyed } from "../core/acted-keys.ts";
import { DownbeatError } from "../core/errors.ts";
import { DEFAULT_QUEUE, inspectWorkflowId, runWorkflowId } from "../core/ids.ts";
import type { RunStatus } from "../core/run-changes.ts";
import {
  CONTROL_UPDATE,
  type ControlAnswer,
  type ControlRequest,
  INSPECT_WORKFLOW,
  type InspectInput,
  POOL_SIGNALS,
  type PoolState,
  RUN_WORKFLOW,
  type RunInput,
  ofConnection,
  searchAttributesOf,
} from "../workflows/messages.ts";
import type { InspectResult } from "../workflows/ports.ts";
import { createLimitDoor, type LimitDoor } from "./orchestrator-limits.ts";
import { askOwner, tellOwner } from "./orchestrator-owners.ts";
import { createTriggerDoor, type TriggerDoor } from "./orchestrator-triggers.ts";
import { type BackfillDoor, createBackfillDoor } from "./orchestrator-backfills.ts";
import { createScheduleDoor, type ScheduleDoor } from "./orchestrator-schedules.ts";
import { temporalClient } from "./orchestrator-client.ts";
import { createTurns } from "./turns.ts";
import { answeredUpdate, untilTaken, updateIdOf } from "./orchestrator-updates.ts";

export interface RunReference {
  readonly pipeline: string;
  readonly id: string;
}

export interface Orchestrator {
  /** Safe to repeat: a run that was started before stays as it is. `priority`: 1 to 5, of its tasks that have none of their own. */
  startRun(input: RunInput, priority?: number): Promise<void>;
  /** Waits until the run has ended or the time is over; answers which. */
  waitForRun(run: RunReference, milliseconds: number): Promise<"ended" | "open">;
  /** Asks a run to stop. Temporal takes it for ended runs too, so look at `statusOf` first. */
  cancelRun(run: RunReference, reason: string): Promise<void>;
  /** Ends a run at once, whatever of it runs: for when it does not stop when it is asked. Safe to repeat. */
  terminateRun(run: RunReference, reason: string): Promise<void>;
  /** Acts on an open run. Throws ACTION_REFUSED or RUN_NOT_ACTIVE with the run's own reason; the same key acts once, and throws IDEMPOTENCY_KEY_REUSED for another request. */
  controlRun(run: RunReference, request: ControlRequest, keyed: Keyed | undefined): Promise<ControlAnswer>;
  /** Temporal's own view: undefined when it knows no such run. */
  statusOf(run: RunReference): Promise<RunStatus | undefined>;
  /** Starts the owner of a pool where it does not run. */
  resizePool(pool: string, slots: number): Promise<void>;
  /** As its owner tells; undefined while nobody has ever asked for a slot. */
  poolState(pool: string): Promise<PoolState | undefined>;
  inspect(input: InspectInput): Promise<InspectResult>;
  check(): Promise<void>;
  /** Workflow tasks and activities that wait for a worker on Downbeat's own queue, as Temporal estimates. */
  queueDepth(): Promise<{ readonly workflow: number; readonly activity: number }>;
  readonly schedules: ScheduleDoor;
  readonly limits: LimitDoor;
  readonly backfills: BackfillDoor;
  readonly triggers: TriggerDoor;
  readonly namespace: string;
}

export interface OrchestratorOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly interceptors?: readonly WorkflowClientInterceptor[];
  /** How long an inspection may take, its wait for a worker included. */
  readonly inspectTimeoutMs?: number;
}

/** Longer than any inspection that still works. */
const INSPECT_TIMEOUT_MS = 120_000;

/** Without a deadline, calls to a server that is away are tried again for most of a minute before they fail. */
const CALL_TIMEOUT_MS = 10_000;
/** Those who ask for readiness ask often, and give up soon. */
const CHECK_TIMEOUT_MS = 3_000;

/** Temporal takes ten updates of one workflow at a time; refused and abandoned ones in their hundreds keep it from any. */
const CONTROL_TURNS = { atOnce: 8, patienceMs: 5_000 } as const;

/** gRPC's number for it. */
const RESOURCE_EXHAUSTED = 8;

/** Errors that say something of the run or the schedule, not of Temporal. */
const OWN_MEANING = [
  DownbeatError,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
];

const temporalCall = async <Value>(call: () => Promise<Value>): Promise<Value> => {
  try {
    return await call();
  } catch (error) {
    if (OWN_MEANING.some((kind) => error instanceof kind)) throw error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (isGrpcServiceError(cause) && cause.code === RESOURCE_EXHAUSTED) {
      throw new DownbeatError("RATE_LIMITED", `Temporal asks for fewer calls at once: ${cause.message}`, {
        cause: error,
        retryAfterMs: 1_000,
      });
    }
    if (isGrpcServiceError(cause) || isGrpcServiceError(error)) {
      throw new DownbeatError(
        "TEMPORAL_UNAVAILABLE",
        `Temporal does not take the call: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause: error },
      );
    }
    if (error instanceof NamespaceNotFoundError) {
      throw new DownbeatError("TEMPORAL_UNAVAILABLE", `Temporal has no namespace "${error.namespace}"; check TEMPORAL_NAMESPACE`, {
        cause: error,
      });
    }
    throw error;
  }
};

export const createOrchestrator = (options: OrchestratorOptions): Orchestrator => {
  const { connection, namespace, interceptors = [], inspectTimeoutMs = INSPECT_TIMEOUT_MS } = options;
  const client = temporalClient({ connection, namespace, interceptors: { workflow: [...interceptors] } });
  const call = <Value>(work: () => Promise<Value>, milliseconds = CALL_TIMEOUT_MS): Promise<Value> =>
    temporalCall(() => client.withDeadline(Date.now() + milliseconds, work));
  const inTurn = createTurns(CONTROL_TURNS);
  const handleOf = ({ pipeline, id }: RunReference) => client.workflow.getHandle(runWorkflowId(pipeline, id));

  return {
    namespace,
    schedules: createScheduleDoor(client, call),
    limits: createLimitDoor(client, call),
    backfills: createBackfillDoor(client, call),
    triggers: createTriggerDoor(client, call),

    async startRun(input, priority) {
      const { run, plan } = input;
      try {
        await call(() =>
          client.workflow.start(RUN_WORKFLOW, {
            workflowId: runWorkflowId(run.pipeline, run.id),
            taskQueue: DEFAULT_QUEUE,
            args: [input],
            workflowIdReusePolicy: "REJECT_DUPLICATE",
            workflowTaskTimeout: "30s",
            ...(priority === undefined ? {} : { priority: { priorityKey: priority } }),
            typedSearchAttributes: searchAttributesOf(run),
            memo: { pipeline: run.pipeline, version: run.version, trigger: run.trigger, planHash: input.planHash },
            staticSummary: `${run.pipeline} v${run.version}, ${plan.tasks.length} tasks, by ${run.trigger}`,
          }),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      }
    },

    async waitForRun(run, milliseconds) {
      // A deadline, since native connections take no abort signal and would wait until the run ends.
      const until = Date.now() + milliseconds;
      try {
        await client.withDeadline(until, () => handleOf(run).result());
        return "ended";
      } catch (error) {
        if (error instanceof WorkflowFailedError) return "ended";
        if (error instanceof WorkflowNotFoundError || isGrpcDeadlineError(error) || Date.now() >= until) return "open";
        return temporalCall(() => Promise.reject(error as Error));
      }
    },

    async cancelRun({ pipeline, id }, reason) {
      // The handle's own cancel() carries no reason, which people look for in the history.
      await call(() =>
        client.workflowService.requestCancelWorkflowExecution({
          namespace,
          workflowExecution: { workflowId: runWorkflowId(pipeline, id) },
          requestId: randomUUID(),
          identity: client.options.identity,
          reason,
        }),
      );
    },

    async terminateRun(run, reason) {
      try {
        await call(() => handleOf(run).terminate(reason));
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      }
    },

    controlRun(run, request, keyed) {
      const options = { args: [{ ...request, ...keyed }] as [ControlRequest], ...updateIdOf(keyed) };
      return inTurn(run.id, () =>
        answeredUpdate({ what: `run ${run.id}`, gone: "RUN_NOT_ACTIVE" }, () =>
          call(() => untilTaken(() => handleOf(run).executeUpdate<ControlAnswer, [ControlRequest]>(CONTROL_UPDATE, options))),
        ),
      );
    },

    async statusOf(run) {
      try {
        const { status } = await call(() => handleOf(run).describe());
        switch (status.name) {
          case "COMPLETED":
            return "succeeded";
          case "FAILED":
          case "TIMED_OUT":
            return "failed";
          case "CANCELLED":
          case "TERMINATED":
            return "cancelled";
          default:
            return "running";
        }
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },

    async resizePool(pool, slots) {
      await call(() => tellOwner(client, pool, POOL_SIGNALS.resize, slots));
    },

    poolState: (pool) => askOwner(client, call, pool),

    async inspect(input) {
      try {
        return await call(
          () =>
            client.workflow.execute<(input: InspectInput) => Promise<InspectResult>>(INSPECT_WORKFLOW, {
              workflowId: inspectWorkflowId(input.kind, input.connection, randomUUID()),
              taskQueue: DEFAULT_QUEUE,
              args: [input],
              workflowExecutionTimeout: inspectTimeoutMs,
              typedSearchAttributes: ofConnection(input.connection),
              memo: { ...input },
              staticSummary: `${input.kind} ${input.connection}`,
            }),
          inspectTimeoutMs + CALL_TIMEOUT_MS,
        );
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        throw new DownbeatError(
          "WORKER_LOST",
          `no worker finished the ${input.kind} of connection "${input.connection}" within ${inspectTimeoutMs / 1_000} s; check that a worker runs (GET /health/ready counts them)`,
          { cause: error },
        );
      }
    },

    async queueDepth() {
      const depthOf = async (taskQueueType: 1 | 2): Promise<number> => {
        const { stats } = await temporalCall(() =>
          client.workflowService.describeTaskQueue({ namespace, taskQueue: { name: DEFAULT_QUEUE }, taskQueueType, reportStats: true }),
        );
        return Number(stats?.approximateBacklogCount ?? 0);
      };
      // 1 and 2 are the wire's numbers for workflow and activity task queues.
      const [workflow, activity] = await Promise.all([depthOf(1), depthOf(2)]);
      return { workflow, activity };
    },

    async check() {
      await call(() => client.workflowService.getSystemInfo({}), CHECK_TIMEOUT_MS);
    },
  };
};
