// One attempt of a verb inside the SDK's activity context: heartbeats, timeout, cancellation, log fields, size of the output.
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { MockActivityEnvironment } from "@temporalio/testing";
import { DefaultLogger } from "@temporalio/worker";
import { describe, expect, it, vi } from "vitest";
import { runVerb, type VerbContext, type VerbHost } from "../../activities/run-verb.ts";
import { DownbeatError } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { TaskResult } from "../../core/run-changes.ts";
import type { TaskCall } from "../../workflows/ports.ts";

const call = (timeoutMs = 60_000): TaskCall => ({
  run: { id: "r1", origin: "r1", pipeline: "shop", version: 1, trigger: "test", triggeredAt: "2026-01-01T00:00:00.000Z" },
  planHash: "hash",
  taskId: "orders",
  attempt: 3,
  params: {},
  tasks: {},
  timeoutMs,
});

interface Logged {
  readonly fields: object;
  readonly message: string;
}

const hostOf = (more: Partial<VerbHost> = {}): VerbHost & { readonly lines: Logged[] } => {
  const lines: Logged[] = [];
  const write = (fields: object, message: string): void => void lines.push({ fields, message });
  return { worker: "w1", log: { debug: write, info: write, warn: write }, lines, ...more };
};

const environment = (info: ConstructorParameters<typeof MockActivityEnvironment>[0] = {}): MockActivityEnvironment =>
  new MockActivityEnvironment(info, { logger: new DefaultLogger("ERROR", () => undefined) });

type VerbFunction = (call: TaskCall, context: VerbContext) => Promise<TaskResult>;

const run = (
  verb: VerbFunction,
  options: { host?: VerbHost; timeoutMs?: number; attempt?: number; env?: MockActivityEnvironment } = {},
): Promise<TaskResult> => {
  const env = options.env ?? environment({ attempt: options.attempt ?? 1 });
  return env.run(() => runVerb("transfer", verb, call(options.timeoutMs), options.host ?? hostOf()));
};

const untilAborted = ({ signal }: VerbContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("socket closed")), { once: true }));

describe("runVerb", () => {
  it("adds the worker and the lost attempts to the result", async () => {
    const result = await run(async () => ({ output: { rows: 1 }, metrics: { rows: 1 } }), { attempt: 4 });
    expect(result).toEqual({ output: { rows: 1 }, metrics: { rows: 1 }, worker: "w1", lostAttempts: 3 });
  });

  it("puts run, task and attempt into every log line", async () => {
    const host = hostOf();
    await run(
      async (_call, { log }) => {
        log.info({ rows: 5 }, "loaded");
        return { output: null };
      },
      { host },
    );
    expect(host.lines).toEqual([{ fields: { runId: "r1", pipeline: "shop", taskId: "orders", attempt: 3, rows: 5 }, message: "loaded" }]);
  });

  it("ends an attempt whose time is over, whatever the driver says of the interruption", async () => {
    await expect(run((_call, context) => untilAborted(context), { timeoutMs: 20 })).rejects.toMatchObject({
      type: "ATTEMPT_TIMEOUT",
      nonRetryable: true,
    });
  });

  it("gives a verb that does not stop a while, then ends the attempt without it", async () => {
    vi.useFakeTimers();
    try {
      const ended = expect(run(() => new Promise(() => undefined), { timeoutMs: 1_000 })).rejects.toMatchObject({
        type: "ATTEMPT_TIMEOUT",
      });
      await vi.advanceTimersByTimeAsync(60_000);
      await ended;
    } finally {
      vi.useRealTimers();
    }
  });

  it("passes a cancellation on as one", async () => {
    const env = environment();
    const ended = expect(run((_call, context) => untilAborted(context), { env })).rejects.toBeInstanceOf(CancelledFailure);
    env.cancel("CANCELLED");
    await ended;
  });

  it("heartbeats by itself while the verb works, often enough for its timeout", async () => {
    const env = environment({ heartbeatTimeoutMs: 60 });
    let beats = 0;
    await run(
      () =>
        new Promise((resolve) => {
          env.on("heartbeat", () => {
            beats += 1;
            if (beats === 3) resolve({ output: null });
          });
        }),
      { env },
    );
    expect(beats).toBe(3);
  });

  it("refuses an output over the limit", async () => {
    await expect(run(async () => ({ output: "x".repeat(LIMITS.outputBytes) }))).rejects.toMatchObject({ type: "OUTPUT_TOO_LARGE" });
  });

  it("gives nothing that PostgreSQL's JSON refuses", async () => {
    const output = { "a\0": ["x\0y", "\ud83d", { deep: "\ud83d\ude00" }], text: "\\u0000" };
    expect((await run(async () => ({ output }))).output).toEqual({
      "a\uFFFD": ["x\uFFFDy", "\uFFFD", { deep: "\ud83d\ude00" }],
      text: "\\u0000",
    });
    await expect(run(() => Promise.reject(new DownbeatError("COMMAND_FAILED", "\ude00 a\0b")))).rejects.toMatchObject({
      message: "\uFFFD a\uFFFDb",
    });
  });

  it("tells of each attempt once, with its code when it failed", async () => {
    const seen: unknown[] = [];
    const host = hostOf({
      onAttempt: ({ seconds, ...attempt }) => seen.push({ ...attempt, isTimed: seconds >= 0 }),
      onMoved: ({ metrics }) => seen.push(metrics),
    });
    await run(async () => ({ output: 1, metrics: { rows: 2 } }), { host });
    await expect(run(() => Promise.reject(new DownbeatError("SOURCE_AUTH", "no")), { host })).rejects.toBeInstanceOf(ApplicationFailure);
    expect(seen).toEqual([
      { rows: 2 },
      { operator: "transfer", pipeline: "shop", task: "orders", isTimed: true },
      { operator: "transfer", pipeline: "shop", task: "orders", code: "SOURCE_AUTH", isTimed: true },
    ]);
  });
});
