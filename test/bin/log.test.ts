// Logs: JSON lines without secrets, one readable line each on a terminal, Temporal's among them.
import { describe, expect, it } from "vitest";
import { createLogger, readable, temporalLogger } from "../../bin/log.ts";

interface Captured {
  readonly lines: string[];
  write(line: string): void;
}

const capture = (): Captured => {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line) };
};

describe("logs", () => {
  it("are JSON with the fields of run, task and attempt", () => {
    const to = capture();
    createLogger("info", "worker", to).info({ runId: "r1", taskId: "orders", attempt: 2 }, "attempt failed");
    expect(JSON.parse(to.lines[0] ?? "")).toMatchObject({
      level: 30,
      process: "worker",
      runId: "r1",
      taskId: "orders",
      attempt: 2,
      msg: "attempt failed",
    });
  });

  it("show no secret, wherever it lies", () => {
    const to = capture();
    const log = createLogger("info", "api", to);
    log.info({ password: "hunter2", connection: { token: "hunter2", secret: "hunter2" }, config: { key: "hunter2" } }, "opened");
    log.info({ headers: { authorization: "Bearer hunter2", "x-api-key": "hunter2" }, apiKey: "hunter2" }, "asked");
    expect(to.lines).toHaveLength(2);
    expect(to.lines.join("")).not.toContain("hunter2");
  });

  it("are one readable line on a terminal; only errors bring their stack", () => {
    const to = capture();
    const log = createLogger("debug", "downbeat", readable(to));
    log.warn({ runId: "r1", err: new Error("no route") }, "reconciling failed");
    log.error({ err: new Error("no route") }, "broken");
    expect(to.lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}reconciling failed runId=r1 err=no route\n$/);
    expect(to.lines[1]).toMatch(/ERROR broken err=no route\nError: no route\n {4}at /);
  });

  it("take Temporal's messages one level down where they are its daily business", () => {
    const to = capture();
    const temporal = temporalLogger(createLogger("debug", "worker", to));
    temporal.info("Worker state changed", { state: "RUNNING" });
    temporal.error("lost");
    expect(to.lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 20, state: "RUNNING", msg: "Worker state changed" },
      { level: 50, msg: "lost" },
    ]);
  });

  it("say what is wrong where Temporal's SDK gives an error", () => {
    const to = capture();
    temporalLogger(createLogger("info", "worker", to)).warn("Workflow failed", { workflowId: "w", error: new Error("out of stock") });
    expect(JSON.parse(to.lines[0] ?? "")).toMatchObject({ workflowId: "w", err: "out of stock", msg: "Workflow failed" });
  });
});
