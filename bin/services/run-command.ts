// Runs an installer with progress: elapsed time and its last line, so that minutes of silence do not look like a hang.

import { spawn } from "node:child_process";
import type { Say } from "./say.ts";

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly timeoutMs: number;
  readonly say?: Say;
  /** What the progress lines call it. */
  readonly title?: string;
}

const PROGRESS_EVERY_MS = 15_000;
/** How much of the output its last lines are looked for in. */
const TAIL = 4_000;

/** Resolves with the output; rejects with its last lines when it fails or takes too long. */
export const runCommand = (command: string, args: readonly string[], options: CommandOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const { env, cwd, uid, gid, timeoutMs, say, title = command } = options;
    const started = Date.now();
    const child = spawn(command, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: env ?? process.env,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    let output = "";
    const collect = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
    };
    const lastLines = (count: number): readonly string[] =>
      output
        .slice(-TAIL)
        .split("\n")
        .filter((line) => line.trim() !== "")
        .slice(-count);
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const progress = setInterval(
      () => say?.(`  ${title}: ${Math.round((Date.now() - started) / 1_000)} s … ${(lastLines(1)[0] ?? "").slice(0, 100)}`),
      PROGRESS_EVERY_MS,
    );
    let late = false;
    const timeout = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
      // What it has started may live on for a moment and hold these open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeoutMs);
    const end = (): void => {
      clearInterval(progress);
      clearTimeout(timeout);
    };
    child.on("error", (error) => {
      end();
      reject(error);
    });
    child.on("close", (code, signal) => {
      end();
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${title} ${late ? `took longer than ${timeoutMs / 1_000} s` : signal === null ? `ended with code ${code}` : `was stopped (${signal})`}: ${lastLines(3).join(" | ")}`,
          ),
        );
    });
  });
