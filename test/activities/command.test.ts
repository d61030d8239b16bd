// The command verb with real programs: what it lets run, what they get, what becomes of their output, and that nothing of them stays.
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createCommand, type CommandHost } from "../../activities/command.ts";
import type { VerbDeps } from "../../activities/verb.ts";
import { commandHost } from "../../bin/command-host.ts";
import type { JsonObject } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import { commandSchema } from "../../core/operators.ts";
import type { TaskResult } from "../../core/run-changes.ts";
import type { TaskCall } from "../../workflows/ports.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SEARCH_PATH = `${folder}:/usr/bin:/bin`;
const ENV = {
  PATH: SEARCH_PATH,
  HOME: "/home/worker",
  SHOP_TOKEN: "s3cret-token",
  DATABASE_URL: "postgres://u:p@h/d",
  OTHER: "not passed on",
};
const ALLOWED = ["sh", "cat", "printf", "env", "seq", "sleep", "missing", `${folder}/*.sh`];

const script = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
};

interface Ran extends TaskResult {
  readonly lines: readonly { readonly stream: unknown; readonly line: string }[];
}

interface Options {
  readonly params?: JsonObject;
  readonly host?: Partial<CommandHost>;
  readonly signal?: AbortSignal;
  readonly call?: Partial<TaskCall>;
  readonly onLine?: (line: string) => void;
}

const lines: { stream: unknown; line: string }[] = [];

const run = async (config: JsonObject, { params = {}, host = {}, signal, call = {}, onLine }: Options = {}): Promise<Ran> => {
  lines.length = 0;
  const deps = {
    findConfig: () => Promise.resolve(commandSchema.parse(config) as unknown as JsonObject),
    findOutput: () => Promise.resolve(null),
    commands: { ...commandHost({ commands: ALLOWED, commandShell: false, images: [] }, ENV), folder, ...host },
  } as unknown as VerbDeps & { readonly commands: CommandHost };
  const write = ({ stream }: { stream?: unknown }, line: string): void => {
    lines.push({ stream, line });
    onLine?.(line);
  };
  const result = await createCommand(deps)(
    {
      run: { id: "r2", origin: "r1", pipeline: "shop", version: 1, trigger: "test", triggeredAt: "2026-01-01T00:00:00.000Z" },
      planHash: "hash",
      taskId: "etl",
      attempt: 2,
      params,
      tasks: {},
      timeoutMs: 60_000,
      ...call,
    },
    {
      signal: signal ?? new AbortController().signal,
      log: { debug: write, info: write, warn: write },
      heartbeat: () => undefined,
      tell: () => undefined,
      lostAttempts: 0,
    },
  );
  return { ...result, lines: [...lines] };
};

const shell = { host: { shell: true } };

describe("what may run", () => {
  it("is nothing by default, and the refusal says how to allow it", async () => {
    await expect(run({ run: ["cat"] }, { host: { allowed: [] } })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringMatching(/"cat": DOWNBEAT_COMMANDS allows no program/) as unknown,
    });
  });

  it.each([
    ["another name", "ls"],
    ["the path of an allowed name", "/bin/cat"],
    ["a path beside an allowed glob", "/etc/other.sh"],
    ["a path that leaves an allowed folder", `${folder}/../../bin/cat`],
    ["a deeper path than the glob's", `${folder}/deep/x.sh`],
  ])("is not %s", async (_, name) => {
    await expect(run({ run: [name] })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("allows only") as unknown,
    });
  });

  it("is a path that a glob allows, also relative to cwd", async () => {
    script("hello.sh", "#!/bin/sh\necho hello from $PWD\n");
    expect((await run({ run: ["./hello.sh"], output: "text" })).output).toBe(`hello from ${folder}`);
    expect(
      (await run({ run: ["../hello.sh"], cwd: "/", output: "text" }).catch((error: unknown) => error)) as { code?: string },
    ).toMatchObject({ code: "COMMAND_REFUSED" });
    expect((await run({ run: [`${folder}/hello.sh`], cwd: "/tmp", output: "text" })).output).toBe("hello from /tmp");
  });

  it("is no shell line unless the worker allows it", async () => {
    await expect(run({ run: ["echo hi"], shell: true })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("DOWNBEAT_COMMAND_SHELL") as unknown,
    });
  });

  it("must be there, be executable and be startable", async () => {
    writeFileSync(path.join(folder, "plain.sh"), "no program");
    await expect(run({ run: ["missing"] })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("PATH") as unknown,
    });
    await expect(run({ run: ["./plain.sh"] })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("executable") as unknown,
    });
    await expect(run({ run: ["cat"], cwd: "nowhere" })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("no folder") as unknown,
    });
    await expect(run({ run: ["cat", "a\0b"] })).rejects.toMatchObject({ code: "COMMAND_REFUSED" });
    await expect(run({ run: ["cat", "x".repeat(3_000_000)] })).rejects.toMatchObject({
      code: "COMMAND_REFUSED",
      message: expect.stringContaining("too long") as unknown,
    });
  });
});

describe("what a program gets", () => {
  it("are its arguments as they are: nothing is split or expanded", async () => {
    const args = ["a b", "$HOME", "; echo x", "*", "", "${{ params.day }}", 7];
    const { output } = await run({ run: ["printf", "[%s]", ...args], output: "text" }, { params: { day: "2026'; rm -rf x" } });
    expect(output).toBe("[a b][$HOME][; echo x][*][][2026'; rm -rf x][7]");
  });

  it("an expression that gives null is refused, any other value is written as JSON", async () => {
    expect((await run({ run: ["printf", "%s", "${{ params.list }}"], output: "json" }, { params: { list: [1, "a"] } })).output).toEqual([
      1,
      "a",
    ]);
    await expect(run({ run: ["cat", "${{ params.none }}"] }, { params: { none: null } })).rejects.toMatchObject({
      code: "EXPRESSION_FAILED",
    });
  });

  it("is a small environment: the task's variables and facts, nothing else of the worker's", async () => {
    const { output } = await run(
      { run: ["env"], env: { DAY: 5, TOKEN: { env: "SHOP_TOKEN" }, LANG: "C" }, output: "text" },
      { call: { itemKey: "a=1" } },
    );
    const variables = Object.fromEntries(
      String(output)
        .split("\n")
        .map((line) => line.split("=", 2) as [string, string]),
    );
    expect(variables).toEqual({
      PATH: SEARCH_PATH,
      HOME: "/home/worker",
      LANG: "C",
      DAY: "5",
      TOKEN: "***",
      DOWNBEAT_PIPELINE: "shop",
      DOWNBEAT_RUN_ID: "r2",
      DOWNBEAT_TASK_ID: "etl",
      DOWNBEAT_ATTEMPT: "2",
      DOWNBEAT_IDEMPOTENCY_KEY: "r1/etl[a",
    });
  });

  it.each([["DATABASE_URL"], ["DOWNBEAT_SECRET_KEY"], ["DOWNBEAT_API_KEY_FILE"], ["TEMPORAL_API_KEY"]])(
    "never Downbeat's own %s",
    async (name) => {
      await expect(run({ run: ["env"], env: { X: { env: name } } })).rejects.toMatchObject({
        code: "SECRET_UNRESOLVED",
        message: expect.stringContaining("Downbeat's own") as unknown,
      });
    },
  );

  it("is its standard input, or none", async () => {
    expect((await run({ run: ["cat"], stdin: "ä\nb", output: "text" })).output).toBe("ä\nb");
    expect((await run({ run: ["cat"], output: "text" })).output).toBe("");
    // A program that does not read much does not fail for it.
    expect((await run({ run: ["printf", "done"], stdin: "x".repeat(1_000_000), output: "text" })).output).toBe("done");
  });

  it("a shell line reads further entries as its parameters", async () => {
    const { output } = await run(
      { run: ['printf "%s|" "$0" "$@" | tr a-z A-Z', "${{ params.x }}", "b c"], shell: true, output: "text" },
      { ...shell, params: { x: "$(id)" } },
    );
    expect(output).toBe("/BIN/SH|$(ID)|B C|");
  });
});

describe("what becomes of its output", () => {
  it("goes to the log line by line, as it comes", async () => {
    const { output, lines: seen } = await run(
      { run: ["printf 'one\\r\\n\\ntw'; printf 'err\\n' >&2; sleep 0.1; printf 'o\\n\\033[31mred\\033[0m'"], shell: true },
      shell,
    );
    expect(output).toEqual({ exit_code: 0 });
    expect(seen.filter(({ stream }) => stream === "stdout").map(({ line }) => line)).toEqual(["one", "two", "red"]);
    expect(seen.filter(({ stream }) => stream === "stderr").map(({ line }) => line)).toEqual(["err"]);
  });

  it("with json is its one value, else a fault of the program that is not tried again", async () => {
    expect((await run({ run: ["printf", ' {"rows": 3}\n'], output: "json" })).output).toEqual({ rows: 3 });
    await expect(run({ run: ["printf", "log\n{}"], output: "json" })).rejects.toMatchObject({
      code: "COMMAND_OUTPUT_INVALID",
      message: expect.stringContaining("log") as unknown,
    });
    await expect(run({ run: ["printf", ""], output: "json" })).rejects.toMatchObject({
      code: "COMMAND_OUTPUT_INVALID",
      message: expect.stringContaining("empty") as unknown,
    });
  });

  it("secrets are in no log line, error or output, whole, by line or as JSON", async () => {
    const secret = 'first "line"\nsecond line';
    const host = { shell: true, resolveSecret: () => Promise.resolve(secret) };
    const text = 'echo "$TOKEN" >&2; printf \'{"t": "first \\\\"line\\\\"\\\\nsecond line"}\'; exit "$1"';
    const config = { run: [text, "0"], shell: true, env: { TOKEN: { env: "X" } }, output: "json" };
    const { output, lines: seen } = await run(config, { host });
    expect(output).toEqual({ t: "***" });
    expect(seen.map(({ line }) => line).toSorted()).toEqual(["***", "***", '{"t": "***"}']);
    const error: unknown = await run({ ...config, run: [text, "1"] }, { host }).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("***\n***");
    expect(String(error)).not.toMatch(/first|second/);
  });

  it("a line without end is cut, and no part of a secret shows at the cut", async () => {
    const secret = "abcdefghijklmnop";
    const text = 'i=0; while [ $i -lt 2000 ]; do printf "%s" "-$TOKEN"; i=$((i+1)); done; echo; echo end';
    const { lines: seen } = await run(
      { run: [text], shell: true, env: { TOKEN: { env: "X" } } },
      { host: { shell: true, resolveSecret: () => Promise.resolve(secret) } },
    );
    expect(seen).toHaveLength(2);
    expect(seen[0]?.line).toMatch(/^(-\*\*\*)+-?\*{0,3}… \(cut\)$/);
    expect(seen[1]?.line).toBe("end");
  });

  it("more than the limit is an error, without being kept in memory", async () => {
    await expect(run({ run: ["seq", "1", "2000000"], output: "text" })).rejects.toMatchObject({
      code: "OUTPUT_TOO_LARGE",
      details: { limit: LIMITS.largeOutputBytes },
    });
  });
});

describe("how it ends", () => {
  it("an exit code that is no success fails with the last lines of standard error", async () => {
    const error: unknown = await run({ run: ["seq 1 30 >&2; echo out; exit 3"], shell: true }, shell).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "COMMAND_FAILED", rule: { retry: true }, details: { exitCode: 3 } });
    const text = String(error);
    expect(text).toContain("exit code 3:\n11\n12");
    expect(text.endsWith("\n30")).toBe(true);
  });

  it("one that is named as success does not", async () => {
    expect((await run({ run: ["exit 3"], shell: true, success_codes: [0, 3] }, shell)).output).toEqual({ exit_code: 3 });
    await expect(run({ run: ["exit 0"], shell: true, success_codes: [3] }, shell)).rejects.toMatchObject({ code: "COMMAND_FAILED" });
  });

  it("a signal is a failure that says which", async () => {
    await expect(run({ run: ["kill -9 $$"], shell: true }, shell)).rejects.toMatchObject({
      code: "COMMAND_FAILED",
      message: expect.stringContaining("SIGKILL") as unknown,
    });
  });
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Where nobody reaps orphans, what is dead stays visible.
  return !/^\S+ \(.*\) [ZX]/.test(existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "");
};

const untilDead = async (pids: readonly number[]): Promise<void> => {
  for (let left = 200; left > 0 && pids.some(isAlive); left -= 1) await pause(50);
  expect(pids.filter(isAlive)).toEqual([]);
};

/** Prints its own process id and that of a grandchild; both ignore SIGTERM. */
const STUBBORN = "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 1; done\" & echo $$; while :; do sleep 1; done";

describe("what is left of it", () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  it("is nothing after an abort, not even a grandchild that ignores SIGTERM", async () => {
    const abort = new AbortController();
    const pids: number[] = [];
    const onLine = (line: string): void => {
      pids.push(Number(line));
      if (pids.length === 2) abort.abort(new Error("cancelled here"));
    };
    await expect(run({ run: [STUBBORN], shell: true }, { ...shell, signal: abort.signal, onLine })).rejects.toThrow("cancelled here");
    expect(pids).toHaveLength(2);
    await untilDead(pids);
  });

  it("is told by SIGTERM first: what it writes then is still logged", async () => {
    const abort = new AbortController();
    const onLine = (line: string): void => {
      if (line === "ready") abort.abort(new Error("cancelled here"));
    };
    const text = "trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    await expect(run({ run: [text], shell: true }, { ...shell, signal: abort.signal, onLine })).rejects.toThrow("cancelled here");
    expect(lines.map(({ line }) => line)).toEqual(expect.arrayContaining(["ready", "cleaned up"]));
  });

  it("an attempt that has been aborted starts none", async () => {
    await expect(
      run({ run: ["touch started"], shell: true }, { ...shell, signal: AbortSignal.abort(new Error("too late")) }),
    ).rejects.toThrow("too late");
    expect(existsSync(path.join(folder, "started"))).toBe(false);
  });

  it("is nothing after its end: what it left in the background is stopped, and does not hold the task", async () => {
    const { output } = await run({ run: ["sleep 600 & echo $!"], shell: true, output: "text" }, shell);
    await untilDead([Number(output)]);
  });

  it("one that left the group does not hold the task", async () => {
    const { output } = await run({ run: ["setsid sleep 30 & echo $!"], shell: true, output: "text" }, shell);
    expect(Number(output)).toBeGreaterThan(0);
    process.kill(Number(output), "SIGKILL");
  });

  it("is nothing after a worker that was killed", async () => {
    const host = spawn(process.execPath, [path.join(import.meta.dirname, "command-worker.ts"), STUBBORN], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(host);
    let text = "";
    for await (const chunk of host.stdout.setEncoding("utf8")) {
      text += String(chunk);
      if (text.split("\n").length > 2) break;
    }
    const pids = text.trim().split("\n").map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    host.kill("SIGKILL");
    await untilDead(pids);
  });
});
