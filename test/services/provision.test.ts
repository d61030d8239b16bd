// The order of ways to a server, and what is said when one is closed.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { dockerImage } from "../../bin/services/docker.ts";
import { folderSecret } from "../../bin/services/folders.ts";
import { goInstall, mavenJars } from "../../bin/services/install.ts";
import { startKafka } from "../../bin/services/kafka.ts";
import { startMysql } from "../../bin/services/mysql.ts";
import { firstWay } from "../../bin/services/provision.ts";
import { runCommand } from "../../bin/services/run-command.ts";
import { startS3 } from "../../bin/services/s3.ts";
import { runServer } from "../../bin/services/server-process.ts";
import { findTemporal } from "../../bin/services/temporal.ts";
import { waitUntil } from "../../bin/services/wait.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-provision-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = (): void => undefined;

const program = (name: string, script: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
};

const way = (name: string, attempt: () => Promise<string>): { name: string; attempt: () => Promise<string> } => ({ name, attempt });
const closed = (why: string) => (): Promise<string> => Promise.reject(new Error(why));

describe("the order of ways", () => {
  it("takes the first that is open, and says of each closed one why and what comes next", async () => {
    const said: string[] = [];
    const ways = [way("one", closed("is shut")), way("two", async () => "second"), way("three", closed("never asked"))];
    expect(await firstWay("X", ways, (line) => said.push(line), "Install X.")).toBe("second");
    expect(said).toEqual(["X: one: is shut → two"]);
  });

  it("ends with one error that names every reason and what to install", async () => {
    const ways = [way("one", closed("is shut")), way("two", closed("is far"))];
    await expect(firstWay("X", ways, quiet, "Install X.")).rejects.toMatchObject({
      code: "SERVICE_MISSING",
      message: "X cannot be had on this machine. Tried one: is shut; two: is far. Install X.",
    });
  });

  it("a docker program without an engine is no way", async () => {
    program("docker", "exit 1");
    await expect(dockerImage("x:1", { PATH: folder }, quiet)).rejects.toThrow("no engine answers `docker info`");
    await expect(dockerImage("x:1", { PATH: "" }, quiet)).rejects.toThrow("there is no docker on the PATH");
  });

  it("an engine whose image cannot be pulled is no way either", async () => {
    program("docker", 'case "$1" in info) exit 0;; image) exit 1;; pull) echo "registry is far" >&2; exit 1;; esac');
    await expect(dockerImage("x:1", { PATH: folder }, quiet)).rejects.toThrow(/docker pull x:1 ended with code 1: registry is far/);
  });

  it("names the tool that is missing for a download", async () => {
    const context = { env: { PATH: "" }, cacheDir: path.join(folder, "cache"), say: quiet };
    await expect(mavenJars("x-1", ["a:b:1"], context)).rejects.toThrow("there is no Maven (mvn) on the PATH");
  });

  it("a build that breaks off leaves nothing that looks like a cached program", async () => {
    program("go", 'echo half > "$GOBIN/thing"; echo "proxy is far" >&2; exit 1');
    const cacheDir = path.join(folder, "cache");
    const context = { env: { PATH: `${folder}:/bin:/usr/bin` }, cacheDir, say: quiet };
    await expect(goInstall("example.test/cmd/thing@v1.0.0", context)).rejects.toThrow(/building thing ended with code 1: proxy is far/);
    expect(() => statSync(path.join(cacheDir, "bin", "thing"))).toThrow(/ENOENT/);
    program("go", 'echo whole > "$GOBIN/thing"');
    expect(readFileSync(await goInstall("example.test/cmd/thing@v1.0.0", context), "utf8")).toBe("whole\n");
  });
});

describe("an address given by the user", () => {
  const closedPort = async (): Promise<number> => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    return port;
  };

  it.concurrent.each([
    ["DOWNBEAT_TEST_MYSQL_URL", (port: number) => `mysql://u:hunter2@127.0.0.1:${port}`, startMysql],
    ["DOWNBEAT_TEST_S3", (port: number) => `http://key:hunter2@127.0.0.1:${port}`, startS3],
    ["DOWNBEAT_TEST_KAFKA", (port: number) => `127.0.0.1:${port}`, startKafka],
  ] as const)("%s that does not answer is an error, never another server", { timeout: 60_000 }, async (variable, url, start) => {
    const env = { ...process.env, [variable]: url(await closedPort()) };
    const error: unknown = await start({ dir: path.join(folder, variable), say: quiet, env }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "SERVICE_MISSING", message: expect.stringContaining(variable) });
    expect(String(error)).not.toContain("hunter2");
  });

  it("TEMPORAL_ADDRESS is taken as it is", async () => {
    expect(await findTemporal(quiet, { TEMPORAL_ADDRESS: "temporal.test:7233" })).toEqual({
      kind: "address",
      address: "temporal.test:7233",
    });
  });

  it("a Temporal on the PATH that cannot run is passed over for the cached one", async () => {
    program("temporal", "echo wrong machine >&2; exit 126");
    const cacheDir = mkdtempSync(path.join(folder, "cache-"));
    mkdirSync(path.join(cacheDir, "bin"));
    const cached = path.join(cacheDir, "bin", "temporal");
    renameSync(program("good", "echo temporal version 9.9.9"), cached);
    const said: string[] = [];
    const found = await findTemporal((line) => said.push(line), { PATH: folder, DOWNBEAT_CACHE: cacheDir });
    expect(found).toEqual({ kind: "program", path: cached, version: "temporal version 9.9.9" });
    expect(said).toEqual([expect.stringMatching(/temporal on the PATH: .*wrong machine → cached program$/)]);
  });
});

describe("processes", () => {
  it("a command that takes too long is ended, whatever it has started", async () => {
    const began = Date.now();
    const options = { env: process.env, timeoutMs: 200 };
    await expect(runCommand("/bin/sh", ["-c", "echo begun; sleep 600"], options)).rejects.toThrow(/took longer than 0.2 s: begun/);
    expect(Date.now() - began).toBeLessThan(60_000);
  });

  it("a server that ends at once is reported with the end of its log", async () => {
    const server = { name: "broken", program: program("broken", "echo cannot bind; exit 3"), args: [], env: process.env, folder };
    await expect(runServer({ ...server, probe: () => Promise.reject(new Error("refused")) })).rejects.toMatchObject({
      code: "SERVICE_MISSING",
      message: "broken did not start: it ended with 3. Its log ends: cannot bind",
    });
  });

  it("a server program that is not there is reported, not waited for", async () => {
    const server = { name: "absent", program: path.join(folder, "absent"), args: [], env: process.env, folder };
    await expect(runServer({ ...server, probe: () => Promise.reject(new Error("refused")) })).rejects.toThrow(
      /absent did not start: it cannot be run/,
    );
  });

  it("waiting ends with what the probe last said", async () => {
    await expect(waitUntil(() => Promise.reject(new Error("still starting")), { timeoutMs: 50 })).rejects.toThrow(
      /no answer within .*still starting/,
    );
  });

  it("a folder keeps its secret, readable by its owner alone", async () => {
    const secret = await folderSecret(folder, "x");
    expect(await folderSecret(folder, "x")).toBe(secret);
    expect(secret).toMatch(/^[0-9a-f]{36}$/);
    expect(statSync(path.join(folder, "x.secret")).mode & 0o777).toBe(0o600);
    expect(await folderSecret(folder, "y")).not.toBe(secret);
  });
});
