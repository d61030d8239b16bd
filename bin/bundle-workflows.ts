// Bundles the workflow code, once for each state of it, in a process of its own: bundling takes 150 MB that a worker would keep.
// Run as a script it answers with the code on standard output.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { WorkflowBundle } from "@temporalio/worker";
import { bundleKey, keptBundle } from "./bundle-cache.ts";
import { cacheDir } from "./services/cache.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
/** All of ours that workflow code may import, beside interceptor modules. */
const SOURCES = ["core", "workflows"];
const MOST_BYTES = 64 * 1024 * 1024;

export const bundleWorkflows = async (interceptorModules: readonly string[]): Promise<WorkflowBundle> => {
  const make = async (): Promise<string> => {
    const script = path.resolve(import.meta.dirname, "bundle-workflows.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...interceptorModules], { maxBuffer: MOST_BYTES });
    return stdout;
  };
  // How it is bundled stands in this file.
  const key = await bundleKey(ROOT, SOURCES, [path.resolve(import.meta.dirname, "bundle-workflows.ts"), ...interceptorModules]);
  return { code: key === undefined ? await make() : await keptBundle(path.join(cacheDir(), "bundles"), key, make) };
};

/**
 * Evaluated once for all runs of a worker, not once for each: pure code without a state of its own but caches of what it computes.
 * The CEL library alone took a fifth of what starting a run costs the worker.
 */
export const PRELOADED: readonly string[] = [path.resolve(import.meta.dirname, "../core/expression.ts")];

const writeBundle = async (interceptorModules: readonly string[]): Promise<void> => {
  const { bundleWorkflowCode, DefaultLogger } = await import("@temporalio/worker");
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.resolve(import.meta.dirname, "../workflows/index.ts"),
    workflowInterceptorModules: [...interceptorModules],
    preloadModules: [...PRELOADED],
    logger: new DefaultLogger("WARN", ({ level, message }) => process.stderr.write(`${level} ${message}\n`)),
  });
  process.stdout.write(code);
};

if (import.meta.main) await writeBundle(process.argv.slice(2));
