// OpenTelemetry: one trace from the HTTP request to the connector call, and one Prometheus text of our figures and the SDK's.

import { metrics } from "@opentelemetry/api";
import type { WorkflowClientInterceptor } from "@temporalio/client";
import type { RuntimeOptions, WorkerInterceptors, WorkerOptions } from "@temporalio/worker";
import type { VerbHost } from "../activities/run-verb.ts";
import type { RunChanges } from "../core/run-changes.ts";
import type { EventFigure } from "../store/triggers.ts";
import type { Config } from "./config.ts";
import { freePort } from "./ports.ts";

type TelemetryOptions = NonNullable<RuntimeOptions["telemetryOptions"]>;

export interface Telemetry {
  readonly runtimeOptions: TelemetryOptions;
  readonly workflowInterceptorModules: readonly string[];
  readonly workerInterceptors: WorkerInterceptors;
  readonly clientInterceptors: readonly WorkflowClientInterceptor[];
  readonly sinks: WorkerOptions["sinks"];
  readonly onAttempt: NonNullable<VerbHost["onAttempt"]>;
  readonly onMoved: NonNullable<VerbHost["onMoved"]>;
  /** `missed`: how many tasks are first said in it to have missed their deadline. */
  readonly onRunChanges: (changes: RunChanges, missed: number) => void;
  /** Asked at every scrape: how many tasks wait for a worker, by kind. */
  readonly watchQueue: (depth: () => Promise<Readonly<Record<string, number>>>) => void;
  /** Asked at every scrape: how many active schedules have no next action in Temporal. */
  readonly watchSchedules: (withoutNext: () => Promise<number>) => void;
  /** Asked at every scrape: how many events of triggers are kept, and since when the oldest waits. */
  readonly watchEvents: (figures: () => Promise<readonly EventFigure[]>) => void;
  /** Our figures and the Temporal SDK's, as one Prometheus text. */
  readonly metricsText: () => Promise<string>;
  readonly shutdown: () => Promise<void>;
}

/** Tasks take from milliseconds to hours. */
const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];

export const startTelemetry = async (config: Config, service: "downbeat-api" | "downbeat-worker" | "downbeat"): Promise<Telemetry> => {
  const { PrometheusExporter, PrometheusSerializer } = await import("@opentelemetry/exporter-prometheus");
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const tracing = config.otlpEndpoint === undefined ? undefined : await createTracing(service);
  const sdk = new NodeSDK({
    serviceName: service,
    metricReaders: [exporter],
    autoDetectResources: false,
    ...(tracing === undefined ? { spanProcessors: [] } : { traceExporter: tracing.exporter }),
  });
  sdk.start();

  const meter = metrics.getMeter("downbeat");
  const runs = meter.createCounter("downbeat_runs", { description: "Runs that have ended" });
  const runSeconds = meter.createHistogram("downbeat_run_duration_seconds", {
    description: "From trigger to end",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const tasks = meter.createCounter("downbeat_tasks", { description: "Tasks that have ended" });
  const deadlines = meter.createCounter("downbeat_deadlines_missed", { description: "Tasks that had not ended by their deadline" });
  const attempts = meter.createCounter("downbeat_attempts", { description: "Attempts of verbs" });
  const retries = meter.createCounter("downbeat_retries", { description: "Attempts that were retried" });
  const taskSeconds = meter.createHistogram("downbeat_attempt_duration_seconds", {
    description: "One attempt of a verb",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const rows = meter.createCounter("downbeat_rows", { description: "Rows moved" });
  const bytes = meter.createCounter("downbeat_bytes", { description: "Bytes moved, as values in memory" });
  const deadLetters = meter.createCounter("downbeat_dead_letters", { description: "Rows diverted" });
  const schemaChanges = meter.createCounter("downbeat_schema_changes", {
    description: "Columns of tables that were added, widened or left out since a stream's had changed",
  });

  const asOf = meter.createGauge("downbeat_changes_as_of_timestamp_seconds", {
    description: "Until when a source's changes are in the destination, in seconds since 1970",
  });

  const corePort = await freePort();
  const coreMetrics = async (): Promise<string> => {
    try {
      return await (await fetch(`http://127.0.0.1:${corePort}/metrics`)).text();
    } catch {
      // The SDK's own endpoint is there only where a worker runs.
      return "";
    }
  };

  return {
    runtimeOptions: { metrics: { prometheus: { bindAddress: `127.0.0.1:${corePort}` } } },
    workflowInterceptorModules: tracing === undefined ? [] : tracing.workflowInterceptorModules,
    workerInterceptors: tracing === undefined ? {} : tracing.workerInterceptors,
    clientInterceptors: tracing === undefined ? [] : tracing.clientInterceptors,
    sinks: tracing?.sinks,
    onAttempt({ operator, seconds, code }) {
      attempts.add(1, { operator, outcome: code ?? "succeeded" });
      taskSeconds.record(seconds, { operator });
    },
    onMoved({ operator, pipeline, task, metrics: moved }) {
      rows.add(moved.rows ?? 0, { operator });
      bytes.add(moved.bytes ?? 0, { operator });
      deadLetters.add(moved.deadLetters ?? 0, { operator });
      schemaChanges.add(moved.schemaChanges ?? 0, { operator });
      if (moved.lagSeconds !== undefined) asOf.record(Date.now() / 1_000 - moved.lagSeconds, { pipeline, task });
    },
    onRunChanges(changes, missed) {
      if (missed > 0) deadlines.add(missed);
      for (const task of changes.tasks) if (task.finishedAt !== undefined) tasks.add(1, { status: task.status });
      const failed = changes.attempts.filter((attempt) => attempt.attempt > 1).length;
      if (failed > 0) retries.add(failed);
      if (changes.finishedAt === undefined) return;
      runs.add(1, { status: changes.status });
      if (changes.startedAt !== undefined)
        runSeconds.record((Date.parse(changes.finishedAt) - Date.parse(changes.startedAt)) / 1_000, { status: changes.status });
    },
    watchQueue(depth) {
      meter
        .createObservableGauge("downbeat_queue_depth", { description: "Tasks that wait for a worker, as Temporal estimates" })
        .addCallback(async (gauge) => {
          // A Temporal that is away leaves the figure out; readiness says so.
          for (const [kind, count] of Object.entries(await depth().catch(() => ({})))) gauge.observe(count, { kind });
        });
    },
    watchSchedules(withoutNext) {
      meter
        .createObservableGauge("downbeat_schedules_without_next_action", {
          description: "Schedules that ought to fire again, while Temporal knows no next time",
        })
        .addCallback(async (gauge) => {
          const count = await withoutNext().catch(() => undefined);
          if (count !== undefined) gauge.observe(count);
        });
    },
    watchEvents(figures) {
      const events = meter.createObservableGauge("downbeat_events", {
        description: "Events of triggers that are kept, by what became of them",
      });
      const oldest = meter.createObservableGauge("downbeat_events_oldest_waiting_seconds", {
        description: "Age of the oldest event of a trigger that no run was started for",
      });
      // A figure that is not told again would stand as it was.
      const known = new Map<string, EventFigure>();
      meter.addBatchObservableCallback(
        async (observed) => {
          const found = await figures().catch(() => undefined);
          if (found === undefined) return;
          for (const [key, figure] of known) known.set(key, { ...figure, count: 0 });
          for (const figure of found) known.set(`${figure.pipeline}/${figure.name}/${figure.status}`, figure);
          for (const { pipeline, name: trigger, status, count, since } of known.values()) {
            observed.observe(events, count, { pipeline, trigger, status });
            const age = count === 0 ? 0 : (Date.now() - Date.parse(since)) / 1_000;
            if (status === "waiting") observed.observe(oldest, age, { pipeline, trigger });
          }
        },
        [events, oldest],
      );
    },
    async metricsText() {
      const { resourceMetrics } = await exporter.collect();
      return `${new PrometheusSerializer().serialize(resourceMetrics)}${await coreMetrics()}`;
    },
    shutdown: () => sdk.shutdown().catch(() => undefined),
  };
};

/** Spans by OTLP to where the standard OTEL_ variables say, through client, workflow and activity. */
const createTracing = async (service: string) => {
  const [{ OTLPTraceExporter }, temporal] = await Promise.all([
    import("@opentelemetry/exporter-trace-otlp-proto"),
    import("@temporalio/interceptors-opentelemetry"),
  ]);
  const exporter = new OTLPTraceExporter();
  const { makeWorkflowExporter, OpenTelemetryActivityInboundInterceptor, OpenTelemetryWorkflowClientInterceptor } = temporal;
  // The interceptors were typed against an older OpenTelemetry; the objects are the same in what is used of them.
  const makeSink = makeWorkflowExporter as unknown as (exporter: unknown, resource: unknown) => unknown;
  const sinks = { exporter: makeSink(forOldSpans(exporter), { attributes: { "service.name": service } }) } as unknown as NonNullable<
    WorkerOptions["sinks"]
  >;
  return {
    exporter,
    sinks,
    workflowInterceptorModules: [new URL("./workflow-tracing.ts", import.meta.url).pathname],
    workerInterceptors: {
      activity: [(context) => ({ inbound: new OpenTelemetryActivityInboundInterceptor(context) })],
    } satisfies WorkerInterceptors,
    clientInterceptors: [new OpenTelemetryWorkflowClientInterceptor()] satisfies WorkflowClientInterceptor[],
  };
};

/** What a workflow's span has in the older OpenTelemetry that the interceptors were built with. */
interface OldSpan {
  readonly instrumentationLibrary?: unknown;
  readonly parentSpanId?: string;
  spanContext(): { readonly traceId: string; readonly traceFlags: number };
}

interface Exporter {
  export(spans: never[], done: (result: { readonly code: number }) => void): void;
  shutdown(): Promise<void>;
}

/** Gives workflows' spans the names of today's fields, without which the exporter cannot read them. */
const forOldSpans = (exporter: Exporter): Exporter => ({
  export(spans: readonly OldSpan[], done) {
    const today = spans.map((span) => {
      const { traceId, traceFlags } = span.spanContext();
      return {
        ...span,
        spanContext: () => span.spanContext(),
        instrumentationScope: span.instrumentationLibrary ?? { name: "workflow" },
        parentSpanContext: span.parentSpanId === undefined ? undefined : { traceId, traceFlags, spanId: span.parentSpanId },
      };
    });
    exporter.export(today as never[], done);
  },
  shutdown: () => exporter.shutdown(),
});
