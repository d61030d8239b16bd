// A service that is taken away comes back at the same address with its data; an orphaned Temporal is found again.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Admin } from "@platformatic/kafka";
import { Connection } from "@temporalio/client";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, describe, expect, it } from "vitest";
import { freePort } from "../../bin/ports.ts";
import { startKafka } from "../../bin/services/kafka.ts";
import { type MysqlAddress, startMysql } from "../../bin/services/mysql.ts";
import { findTemporal, type RunningTemporal, startTemporal } from "../../bin/services/temporal.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-restart-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = (): void => undefined;

const query = async (address: MysqlAddress, sql: string): Promise<RowDataPacket[]> => {
  const { host, port, user, password } = address;
  const connection = await createConnection({ host, port, user, password });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
};

describe("services that go and come back", () => {
  it("MySQL: two at once, one killed and resumed, and found again on its folder", async () => {
    const options = { dir: path.join(folder, "mysql-a"), say: quiet };
    const first = await startMysql(options);
    const other = await startMysql({
      dir: path.join(folder, "mysql-b"),
      say: quiet,
      binlog: false,
      settings: { "sort-buffer-size": "1M" },
    });
    expect(other.address.port).not.toBe(first.address.port);
    expect(other.address.password).not.toBe(first.address.password);
    expect(await query(other.address, "select @@log_bin log, @@sort_buffer_size size")).toEqual([{ log: 0, size: 1_048_576 }]);
    await query(first.address, "create database kept");
    await query(first.address, "create table kept.t engine=InnoDB select 42 as answer");
    const { pid } = first;
    await first.halt("SIGKILL");
    expect(first.pid).toBeUndefined();
    await expect(query(first.address, "select 1")).rejects.toThrow(/ECONNREFUSED/);
    await first.resume();
    expect(first.pid).not.toBe(pid);
    expect(await query(first.address, "select answer from kept.t")).toEqual([{ answer: 42 }]);
    await first.stop();
    const again = await startMysql(options);
    expect(await query(again.address, "select answer from kept.t")).toEqual([{ answer: 42 }]);
    await Promise.all([again.stop(), other.stop()]);
  });

  it("Kafka: a broker that is killed keeps its topics and its address", async () => {
    const broker = await startKafka({ dir: path.join(folder, "kafka"), say: quiet });
    const topics = async (): Promise<readonly string[]> => {
      const admin = new Admin({ clientId: "test", bootstrapBrokers: [...broker.address.brokers] });
      try {
        return await admin.listTopics();
      } finally {
        await admin.close();
      }
    };
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [...broker.address.brokers] });
    await admin.createTopics({ topics: ["kept"], partitions: 2, replicas: 1 });
    await admin.close();
    await broker.halt("SIGKILL");
    await broker.resume();
    expect(await topics()).toContain("kept");
    await broker.stop();
  });

  it("Temporal: adopted while it answers, replaced when it hangs, started anew when it is gone", async () => {
    const found = await findTemporal(quiet, { ...process.env, TEMPORAL_ADDRESS: "" });
    if (found.kind !== "program") throw new Error("no program was looked for");
    const stateFile = path.join(folder, "temporal.json");
    const start = async (): Promise<RunningTemporal> =>
      startTemporal({
        program: found.path,
        dbFile: path.join(folder, "temporal.db"),
        logFile: path.join(folder, "temporal.log"),
        port: await freePort(),
        uiPort: await freePort(),
        stateFile,
      });
    const answers = async (address: string): Promise<void> => (await Connection.connect({ address, connectTimeout: 20_000 })).close();
    const first = await start();
    expect(first.adopted).toBe(false);
    const second = await start();
    expect(second).toMatchObject({ adopted: true, pid: first.pid, address: first.address });
    process.kill(first.pid, "SIGSTOP");
    // Until the kernel has stopped every thread it may still answer.
    await expect.poll(() => /^State:\s+T/m.test(readFileSync(`/proc/${first.pid}/status`, "utf8")), { timeout: 30_000 }).toBe(true);
    const third = await start();
    expect(third.adopted).toBe(false);
    expect(() => process.kill(first.pid, 0)).toThrow(/ESRCH/);
    await answers(third.address);
    process.kill(third.pid, "SIGKILL");
    const fourth = await start();
    expect(fourth.adopted).toBe(false);
    await answers(fourth.address);
    expect(JSON.parse(readFileSync(stateFile, "utf8"))).toMatchObject({ pid: fourth.pid, address: fourth.address });
    await fourth.stop();
    await expect(answers(fourth.address)).rejects.toThrow();
    expect(() => readFileSync(stateFile)).toThrow(/ENOENT/);
  });
});
