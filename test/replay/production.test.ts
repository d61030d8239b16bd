// `npm run replay` against a real server: runs that this build goes on with, runs that it does not, and what it cannot tell.

import { execFile } from "node:child_process";
import path from "node:path";
import { Worker } from "@temporalio/worker";
import { describe, expect, it } from "vitest";
import { DATA_CONVERTER } from "../../api/payload-codec.ts";
import { DEFAULT_QUERY } from "../../bin/replay-histories.ts";
import * as workflows from "../../workflows/index.ts";
import { INSPECT_WORKFLOW, RUN_WORKFLOW } from "../../workflows/messages.ts";
import { planOf } from "../core/runs.ts";
import { freshName, temporalServer } from "../fixtures/services.ts";
import { bundleFile } from "../workflow/engine.ts";
import { isAt, until, useEngine } from "../workflow/kit.ts";

const engine = useEngine();
const script = path.resolve(import.meta.dirname, "../../bin/replay.ts");

interface Ended {
  readonly code: number;
  readonly output: string;
}

const replay = (args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const options = { env: { ...process.env, TEMPORAL_ADDRESS: "" }, timeout: 240_000 };
    execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, output: stderr + stdout });
    });
  });

/** Lists lag behind: what has ended may still be listed as running. */
const ENDED = 'ExecutionStatus = "Completed"';

const visible = (query: string, count: number): Promise<void> =>
  until(`${count} are listed`, async () => (await engine().client.workflow.count(query)).count >= count);

const plan = planOf({ a: {}, b: { needs: ["a"] } });
const asks = planOf({
  asked: { operator: "approval", approval: { approvers: [], deadlineMs: 600_000, onDeadline: "fail" } },
});

/** A run whose worker the engine is not. */
const startOn = (taskQueue: string) => {
  const id = freshName("run");
  const run = { id, origin: id, pipeline: "tested", version: 1, trigger: "test", triggeredAt: "2026-01-01T00:00:00.000Z" };
  return engine().client.workflow.start(RUN_WORKFLOW, {
    workflowId: id,
    taskQueue,
    args: [{ run, planHash: "hash", plan, params: {} }],
  });
};

describe("npm run replay", () => {
  it("goes on with runs of this build, ended and open; names those of a build that decides otherwise", async () => {
    const { address } = temporalServer();
    await engine().run(plan);
    const open = await engine().start(asks);
    // Before that it has nothing to be replayed.
    await isAt(open, "asked", "waiting");
    const idle = freshName("idle");
    const waiting = await startOn(idle);
    const good = `TaskQueue IN ("${engine().queue}", "${idle}")`;
    await visible(good, 3);
    await visible(`${good} AND ${ENDED}`, 1);
    const right = await replay(["--from", address, "--query", good]);
    expect(right.output).toContain("This build goes on with all that were replayed.");
    expect(right.output).toMatch(/run completed +1 +\d+ +1 +0 +0\n/);
    expect(right.output).toMatch(/run running +2 +\d+ +1 +1 +0\n/);
    expect(right.output).toContain(`skipped ${waiting.workflowId}`);
    expect(right.code).toBe(0);

    const queue = freshName("wrong");
    const worker = await Worker.create({
      connection: engine().native,
      taskQueue: queue,
      dataConverter: DATA_CONVERTER,
      workflowBundle: await bundleFile(path.join(import.meta.dirname, "wrong-workflows.ts")),
      activities: engine().activities,
    });
    const ended = await worker.runUntil(async () => {
      const handle = await startOn(queue);
      await handle.result();
      return handle;
    });
    const both = `TaskQueue IN ("${engine().queue}", "${queue}")`;
    await visible(both, 3);
    await visible(`${both} AND ${ENDED}`, 2);
    const wrong = await replay(["--from", address, "--namespace", "default", "--query", both]);
    expect(wrong.output).toContain("1 would break under this build.");
    expect(wrong.output).toMatch(
      new RegExp(`BREAKS ${ended.workflowId} \\(.+, completed, event \\d+\\)\n  \\[TMPRL1100\\] Nondeterminism error: .+\n`),
    );
    expect(wrong.output).not.toContain(`BREAKS ${open.id}`);
    expect(wrong.code).toBe(1);
    const one = await replay(["--from", address, "--query", both, "--limit", "1"]);
    expect(one.output.match(/^run \w+ +1 /gm)).toHaveLength(1);
    await open.handle.terminate();
    await waiting.terminate();
  });

  it("takes workflows of every type by default but looks at connections", async () => {
    const taskQueue = freshName("idle");
    const types = Object.keys(workflows).toSorted();
    const started = await Promise.all(
      types.map((type) => engine().client.workflow.start(type, { workflowId: `downbeat/${type}/${taskQueue}`, taskQueue })),
    );
    await visible(`TaskQueue = "${taskQueue}"`, types.length);
    const found: string[] = [];
    for await (const { type } of engine().client.workflow.list({ query: `${DEFAULT_QUERY} AND TaskQueue = "${taskQueue}"` }))
      found.push(type);
    expect(found.toSorted()).toEqual(types.filter((type) => type !== INSPECT_WORKFLOW));
    await Promise.all(started.map((handle) => handle.terminate()));
  });

  it("says when it cannot tell, with another exit code", async () => {
    const { address } = temporalServer();
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["--from", address, "--query", 'WorkflowId = "nobody"'], /^NOT_FOUND: .*nothing was replayed/],
      [["--from", address, "--query", "Colour = 'red'"], /^TEMPORAL_UNAVAILABLE: .*'Colour' is not a valid search attribute/],
      [["--from", address, "--namespace", "absent"], /^TEMPORAL_UNAVAILABLE: .*Namespace not found: 'absent'/],
      [["--from", "127.0.0.1:1"], /^TEMPORAL_UNAVAILABLE: Temporal does not answer at 127\.0\.0\.1:1/],
      [[], /^CONFIG_INVALID: TEMPORAL_ADDRESS is not set/],
      [["--from", "nowhere"], /^CONFIG_INVALID: [^]*TEMPORAL_ADDRESS is "nowhere"/],
      [["--from", address, "--limit", "many"], /^CONFIG_INVALID: --limit is "many"/],
      [["--form", address], /^Unknown option '--form'[^]*npm run replay --/],
    ];
    const ends = await Promise.all(cases.map(([args]) => replay(args)));
    for (const [index, [, expected]] of cases.entries())
      expect(ends[index]).toMatchObject({ code: 2, output: expect.stringMatching(expected) as unknown });
  });
});
