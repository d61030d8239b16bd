// Builds side by side: how a worker registers its build with Temporal, and which build takes new runs.

import path from "node:path";
import { isGrpcServiceError, type ConnectionLike } from "@temporalio/client";
import proto from "@temporalio/proto";
import type { WorkerOptions } from "@temporalio/worker";
import { temporalClient } from "../api/orchestrator-client.ts";
import { DownbeatError } from "../core/errors.ts";
import { UNVERSIONED } from "./config.ts";
import { waitUntil } from "./services/wait.ts";
import { reasonOf } from "./temporal.ts";

export const DEPLOYMENT = "downbeat";

/** Runs stay on the build that began them; without a build id the worker takes every run, as Temporal does by default. */
export const deploymentOptions = (buildId: string | undefined): Pick<WorkerOptions, "workerDeploymentOptions"> =>
  buildId === undefined
    ? {}
    : {
        workerDeploymentOptions: {
          version: { deploymentName: DEPLOYMENT, buildId },
          useWorkerVersioning: true,
          defaultVersioningBehavior: "PINNED",
        },
      };

/** What the bundle of such a worker has beside the workflows. */
export const deploymentModules = (buildId: string | undefined): readonly string[] =>
  buildId === undefined ? [] : [path.resolve(import.meta.dirname, "../workflows/outliving-builds.ts")];

export interface Build {
  readonly id: string;
  /** Temporal's word: current, ramping, draining (runs are open that began on it), drained, inactive. */
  readonly status: string;
  /** Share of new runs. */
  readonly percent: number;
  readonly openWorkflows: number;
  /** Workers that asked for work within the last minutes. */
  readonly workers: number;
}

export interface WorkerDeployment {
  list(): Promise<readonly Build[]>;
  /** All new runs. A build that no worker has registered yet is waited for. */
  setCurrent(build: string, patienceMs: number): Promise<void>;
  /** A share of the new runs, chosen by their ids; the rest stays with the current build. 0 ends it. */
  ramp(build: string, percent: number, patienceMs: number): Promise<void>;
  /** Pins what is open of one build, or one workflow of it, to another; answers the workflow ids. */
  move(from: string, to: string, workflowId?: string): Promise<readonly string[]>;
}

export interface WorkerDeploymentOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly taskQueue: string;
}

const { WorkerDeploymentVersionStatus, TaskQueueType } = proto.temporal.api.enums.v1;
const { PinnedOverrideBehavior } = proto.temporal.api.workflow.v1.VersioningOverride;

/** gRPC's numbers. */
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** A poll lasts a minute; the server forgets a worker only after five. */
const SEEN_WITHIN_MS = 90_000;

const isMissing = (error: unknown): boolean =>
  isGrpcServiceError(error) && (error.code === NOT_FOUND || error.code === FAILED_PRECONDITION);

export const openOf = (build: string): string =>
  `TemporalWorkerDeploymentVersion = "${DEPLOYMENT}:${build}" AND ExecutionStatus = "Running"`;

export const workerDeployment = ({ connection, namespace, taskQueue }: WorkerDeploymentOptions): WorkerDeployment => {
  const client = temporalClient({ connection, namespace });
  const service = client.workflowService;
  const base = { namespace, deploymentName: DEPLOYMENT, identity: client.options.identity };

  const workersOf = async (): Promise<ReadonlyMap<string, number>> => {
    const taskQueueType = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW;
    const { pollers } = await service.describeTaskQueue({ namespace, taskQueue: { name: taskQueue }, taskQueueType });
    const counts = new Map<string, number>();
    for (const { deploymentOptions: own, lastAccessTime } of pollers ?? []) {
      const seenAt = Number(lastAccessTime?.seconds ?? 0) * 1_000;
      const build = own?.deploymentName === DEPLOYMENT ? (own.buildId ?? "") : UNVERSIONED;
      if (Date.now() - seenAt < SEEN_WITHIN_MS) counts.set(build, (counts.get(build) ?? 0) + 1);
    }
    return counts;
  };

  /** The server answers "not found" until a worker of the build has asked for work. */
  const patiently = async (build: string, patienceMs: number, call: () => Promise<unknown>): Promise<void> => {
    let refusal: unknown;
    try {
      await waitUntil(
        async () => {
          try {
            await call();
          } catch (error) {
            if (isMissing(error)) throw error;
            refusal = error;
          }
        },
        { timeoutMs: patienceMs },
      );
    } catch (error) {
      const reason = reasonOf(error instanceof Error ? error.cause : error);
      const message = `no worker with DOWNBEAT_BUILD_ID=${build} has asked for work in namespace "${namespace}": ${reason}; start one first`;
      throw new DownbeatError("NOT_FOUND", message, { cause: error });
    }
    if (refusal !== undefined) throw unavailable(refusal);
  };

  const unavailable = (error: unknown): DownbeatError =>
    new DownbeatError("TEMPORAL_UNAVAILABLE", `Temporal does not take the call in namespace "${namespace}": ${reasonOf(error)}`, {
      cause: error,
    });

  return {
    async list() {
      const described = await service.describeWorkerDeployment({ namespace, deploymentName: DEPLOYMENT }).catch((error: unknown) => {
        if (isMissing(error) && !/namespace/i.test(reasonOf(error))) return undefined;
        throw unavailable(error);
      });
      const { versionSummaries = [], routingConfig } = described?.workerDeploymentInfo ?? {};
      const ramping = routingConfig?.rampingDeploymentVersion?.buildId;
      const ramped = ramping === undefined ? 0 : (routingConfig?.rampingVersionPercentage ?? 0);
      const current = routingConfig?.currentDeploymentVersion?.buildId;
      const percentOf = (id: string | undefined): number => {
        if (id === ramping && ramping !== undefined) return ramped;
        return id === current ? 100 - ramped : 0;
      };
      const workers = await workersOf();
      const builds = await Promise.all(
        (versionSummaries ?? []).map(async ({ deploymentVersion, status }): Promise<Build> => {
          const id = deploymentVersion?.buildId ?? "";
          const { count } = await client.workflow.count(openOf(id));
          return { id, status: statusName(status), percent: percentOf(id), openWorkflows: count, workers: workers.get(id) ?? 0 };
        }),
      );
      const percent = percentOf(undefined);
      const { count } = await client.workflow.count(
        `TaskQueue = "${taskQueue}" AND ExecutionStatus = "Running" AND TemporalWorkerDeploymentVersion IS NULL`,
      );
      const rest = { id: UNVERSIONED, status: current === undefined ? "current" : "", percent, openWorkflows: count };
      return [...builds, { ...rest, workers: workers.get(UNVERSIONED) ?? 0 }];
    },

    async setCurrent(build, patienceMs) {
      const buildId = build === UNVERSIONED ? "" : build;
      await patiently(build, patienceMs, () => service.setWorkerDeploymentCurrentVersion({ ...base, buildId }));
    },

    async ramp(build, percentage, patienceMs) {
      const buildId = build === UNVERSIONED ? "" : build;
      await patiently(build, patienceMs, () => service.setWorkerDeploymentRampingVersion({ ...base, buildId, percentage }));
    },

    async move(from, to, workflowId) {
      const query = workflowId === undefined ? openOf(from) : `${openOf(from)} AND WorkflowId = "${workflowId}"`;
      const version = { deploymentName: DEPLOYMENT, buildId: to };
      const moved: string[] = [];
      try {
        for await (const found of client.workflow.list({ query })) {
          const behavior = PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED;
          await service.updateWorkflowExecutionOptions({
            namespace,
            workflowExecution: { workflowId: found.workflowId, runId: found.runId },
            workflowExecutionOptions: { versioningOverride: { pinned: { behavior, version } } },
            updateMask: { paths: ["versioning_override"] },
          });
          moved.push(found.workflowId);
        }
      } catch (error) {
        throw unavailable(error);
      }
      return moved;
    },
  };
};

const statusName = (status: number | null | undefined): string =>
  (WorkerDeploymentVersionStatus[status ?? 0] ?? "").replace("WORKER_DEPLOYMENT_VERSION_STATUS_", "").toLowerCase();
