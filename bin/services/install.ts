// Installs server programs natively: Debian packages, Go programs, Maven artifacts. Asks first when a person is there.
import { randomBytes } from "node:crypto";
import { access, chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import { runCommand } from "./run-command.ts";
import { findProgram } from "./cache.ts";
import type { Say } from "./say.ts";

export interface InstallContext {
  readonly env: NodeJS.ProcessEnv;
  readonly cacheDir: string;
  readonly say: Say;
}

let queue: Promise<unknown> = Promise.resolve();
/** One at a time: apt-get has one lock, and one person answers one question. */
const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const result = queue.then(work, work);
  queue = result.catch(() => undefined);
  return result;
};

const confirm = async (question: string, env: NodeJS.ProcessEnv): Promise<void> => {
  if (!process.stdin.isTTY || (env["CI"] ?? "") !== "") return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error("declined");
  } finally {
    terminal.close();
  }
};

const POLICY = "/usr/sbin/policy-rc.d";

/** Keeps a package's own daemon from starting; resolves with what takes the guard away again when it is ours. */
const withoutAutostart = async (): Promise<() => Promise<void>> => {
  try {
    await writeFile(POLICY, "#!/bin/sh\nexit 101\n", { flag: "wx", mode: 0o755 });
    await chmod(POLICY, 0o755);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return async () => undefined;
    throw error;
  }
  return () => rm(POLICY, { force: true });
};

/** Installs Debian packages; the package lists are refreshed only when the packages are not found in them. */
export const aptInstall = (packages: readonly string[], context: InstallContext): Promise<void> =>
  inTurn(async () => {
    const { env, say } = context;
    const apt = findProgram("apt-get", ["/usr/bin"], env);
    const command = `apt-get install ${packages.join(" ")}`;
    if (apt === undefined) throw new Error("there is no apt-get here");
    if (process.getuid?.() !== 0) throw new Error(`only root may install packages; run: sudo ${command}`);
    await confirm(`Install ${packages.join(", ")} with apt-get?`, env);
    const run = (args: readonly string[]): Promise<string> =>
      runCommand(apt, ["-o", "DPkg::Lock::Timeout=300", ...args], {
        env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
        timeoutMs: 900_000,
        say,
        title: `apt-get ${args[0]}`,
      });
    const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
    const restore = await withoutAutostart();
    try {
      say(`${command} …`);
      try {
        await run(install);
      } catch (error) {
        if (!(error instanceof Error) || !/unable to locate|no installation candidate|404|unable to fetch/i.test(error.message))
          throw error;
        say("apt-get does not find the packages → apt-get update, then again");
        await run(["update", "-q"]);
        await run(install);
      }
    } finally {
      await restore();
    }
  });

/** Builds a Go program once into the cache and resolves with its path. */
export const goInstall = async (module: string, context: InstallContext): Promise<string> => {
  const { env, cacheDir, say } = context;
  const name = path.basename(module.split("@")[0] ?? module);
  const go = findProgram("go", ["/usr/local/go/bin"], env);
  if (go === undefined) throw new Error("there is no Go toolchain (go) on the PATH");
  await confirm(`Build ${name} from source with go install ${module}?`, env);
  say(`${name}: go install ${module}; this takes some minutes and happens once`);
  // Built aside and moved in at the end: a broken-off build never looks like a cached program.
  const folder = path.join(cacheDir, `build-${name}-${randomBytes(4).toString("hex")}`);
  await mkdir(folder, { recursive: true });
  try {
    await runCommand(go, ["install", "-v", "-ldflags=-s -w", module], {
      env: { ...env, GOBIN: folder },
      cwd: folder,
      timeoutMs: 1_800_000,
      say,
      title: `building ${name}`,
    });
    const target = path.join(cacheDir, "bin", name);
    await mkdir(path.dirname(target), { recursive: true });
    await rename(path.join(folder, name), target);
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** What a goal of Maven's dependency plugin puts into one cached folder, once; resolves with the folder. */
const fetchWithMaven = async (
  name: string,
  { env, cacheDir, say }: InstallContext,
  goal: string,
  argumentsFor: (folder: string, out: string) => Promise<readonly string[]>,
): Promise<string> => {
  const target = path.join(cacheDir, name);
  const there = await access(target).then(
    () => true,
    () => false,
  );
  if (there) return target;
  const maven = findProgram("mvn", [], env);
  if (maven === undefined) throw new Error("there is no Maven (mvn) on the PATH to fetch it");
  await confirm(`Fetch ${name} with Maven?`, env);
  say(`${name}: mvn ${goal}; this happens once`);
  const folder = path.join(cacheDir, `build-${name}-${randomBytes(4).toString("hex")}`);
  await mkdir(folder, { recursive: true });
  try {
    const out = path.join(folder, "out");
    const args = await argumentsFor(folder, out);
    await runCommand(maven, ["-B", "-q", goal, ...args], { env, cwd: folder, timeoutMs: 600_000, say, title: `fetching ${name}` });
    await rename(out, target).catch((error: NodeJS.ErrnoException) => {
      // Another process was first: what it fetched is the same.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Puts Maven artifacts (group:artifact:version) and all they need into one cached folder of jars; resolves with the folder. */
export const mavenJars = (name: string, artifacts: readonly string[], context: InstallContext): Promise<string> =>
  fetchWithMaven(name, context, "dependency:copy-dependencies", async (folder, out) => {
    const dependencies = artifacts.map((artifact) => {
      const [group, id, version] = artifact.split(":");
      return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version></dependency>`;
    });
    const pom = path.join(folder, "pom.xml");
    await writeFile(
      pom,
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>downbeat</groupId><artifactId>${name}</artifactId><version>1</version><dependencies>${dependencies.join("")}</dependencies></project>\n`,
    );
    return ["-f", pom, `-DoutputDirectory=${out}`];
  });

/** Unpacks one archive (group:artifact:version:packaging:classifier) into a cached folder; resolves with the folder. */
export const mavenArchive = (name: string, archive: string, context: InstallContext): Promise<string> =>
  fetchWithMaven(name, context, "dependency:unpack", async (_folder, out) => [`-Dartifact=${archive}`, `-DoutputDirectory=${out}`]);
