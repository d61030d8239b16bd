// Runs other programs to their end: found on the PATH, without a shell, with a time limit and progress lines.
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";

export type Env = Readonly<Record<string, string | undefined>>;
/** Takes one line for the person who waits. */
export type Say = (line: string) => void;

/** The program's full path: on the PATH of `env`, or in one of the extra folders. */
export const findProgram = (name: string, env: Env, folders: readonly string[] = []): string | undefined => {
  const places = [...(env["PATH"] ?? "").split(path.delimiter).filter((place) => place !== ""), ...folders];
  return places
    .map((place) => path.join(place, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
};

export interface CommandOptions {
  readonly env: Env;
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** With `say`: a line every ten seconds with the elapsed time and the program's last line. */
  readonly say?: Say;
  readonly label?: string;
}

const KEPT = 200_000;

/** Resolves with what the program wrote to stdout; throws with its last lines when it fails, is missing or takes too long. */
export const runCommand = (program: string, args: readonly string[], options: CommandOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const { cwd, uid, gid } = options;
    const name = path.basename(program);
    const child = spawn(program, args, {
      env: { ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that a time limit also ends what it has started.
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    let stdout = "";
    let all = "";
    let late = false;
    const lines = (): string[] => all.split("\n").filter((line) => line.trim() !== "");
    const keep = (text: string): void => {
      all = (all + text).slice(-KEPT);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout = (stdout + text).slice(-KEPT);
      keep(text);
    });
    child.stderr.setEncoding("utf8").on("data", keep);
    const began = Date.now();
    const limit = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, options.timeoutMs);
    const progress = setInterval(() => {
      options.say?.(
        `${options.label ?? name}: ${Math.round((Date.now() - began) / 1_000)} s, ${(lines().at(-1) ?? "working").trim().slice(0, 120)}`,
      );
    }, 10_000);
    const done = (): void => {
      clearTimeout(limit);
      clearInterval(progress);
    };
    child.once("error", (error) => {
      done();
      reject(new Error(`${name} cannot be run: ${error.message}`, { cause: error }));
    });
    child.once("close", (code, signal) => {
      done();
      if (code === 0) resolve(stdout);
      else {
        const how = late ? `took longer than ${Math.round(options.timeoutMs / 1_000)} s` : `ended with ${code ?? signal}`;
        reject(new Error(`${name} ${how}: ${lines().slice(-4).join(" | ").slice(-600) || "it said nothing"}`));
      }
    });
  });
