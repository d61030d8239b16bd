// Programs of runs on a real Temporal server: cancelled, out of time, and on a worker that shuts down, they are gone.
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { createCommand, type CommandHost } from "../../activities/command.ts";
import type { VerbDeps } from "../../activities/verb.ts";
import type { JsonObject } from "../../core/json.ts";
import { commandSchema } from "../../core/operators.ts";
import { planOf } from "../core/runs.ts";
import { temporalServer } from "../fixtures/services.ts";
import { type Behaviour, startEngine } from "./engine.ts";
import { until, useEngine } from "./kit.ts";

const engine = useEngine();

/** Runs a shell line that prints process ids; `pids` are those that came. */
const program = (line: string): { readonly verb: Behaviour; readonly pids: number[] } => {
  const pids: number[] = [];
  const config = commandSchema.parse({ run: [line], shell: true }) as unknown as JsonObject;
  const deps = {
    findConfig: () => Promise.resolve(config),
    findOutput: () => Promise.resolve(null),
    commands: {
      allowed: [],
      shell: true,
      environment: { PATH: "/usr/bin:/bin" },
      folder: tmpdir(),
      resolveSecret: () => Promise.reject(new Error("none")),
    },
  } as unknown as VerbDeps & { readonly commands: CommandHost };
  const verb = createCommand(deps);
  return {
    pids,
    verb: (call, context) =>
      verb(call, {
        ...context,
        log: {
          ...context.log,
          info: (fields, message) => ("stream" in fields ? void pids.push(Number(message)) : context.log.info(fields, message)),
        },
      }),
  };
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/^\S+ \(.*\) [ZX]/.test(existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "");
};

/** Two processes of one program, both deaf to SIGTERM. */
const STUBBORN = "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 1; done\" & echo $$; while :; do sleep 1; done";
const WILLING = "echo $$; sleep 600 & echo $!; wait";

const plan = (attemptMs: number) =>
  planOf(
    { a: { operator: "command" } },
    {
      policies: [
        {
          retry: { attempts: 1, backoffMs: 1, maxBackoffMs: 1, neverOn: [] },
          timeout: { attemptMs, totalMs: 120_000, heartbeatMs: 5_000 },
        },
      ],
    },
  );

describe("a program of a run", () => {
  it("is gone with its children when the run is cancelled, deaf as they are", async () => {
    const { verb, pids } = program(STUBBORN);
    const run = await engine().start(plan(60_000), { verbs: { a: verb } });
    await until("the program runs", () => pids.length === 2);
    await run.handle.cancel();
    expect(await run.end()).toEqual({ outcome: "cancelled" });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("is gone when its attempt is out of time", async () => {
    const { verb, pids } = program(STUBBORN);
    // Time enough for both processes to say who they are.
    const run = await engine().run(plan(10_000), { verbs: { a: verb } });
    expect(run).toMatchObject({ outcome: "failed" });
    expect(run.tasks()["a"]).toMatchObject({ status: "failed", error: { code: "ATTEMPT_TIMEOUT" } });
    expect(pids).toHaveLength(2);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("is gone when its worker shuts down", async () => {
    const own = await startEngine(temporalServer().address);
    const { verb, pids } = program(WILLING);
    const run = await own.start(plan(60_000), { verbs: { a: verb } });
    await until("the program runs", () => pids.length === 2);
    await own.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    await engine().client.workflow.getHandle(run.id).terminate("the test is over");
  });

  it("tells in the task's error what it said last", async () => {
    const { verb } = program("echo 12 >&2; exit 4");
    const run = await engine().run(plan(60_000), { verbs: { a: verb } });
    expect(run.tasks()["a"]).toMatchObject({
      status: "failed",
      error: { code: "COMMAND_FAILED", message: "/bin/sh ended with exit code 4:\n12", details: { exitCode: 4 } },
    });
  });
});
