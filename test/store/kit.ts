// What the cases of the store share.

import { randomUUID } from "node:crypto";
import { it } from "vitest";
import type { CompiledPlan } from "../../core/plan.ts";
import type { RunChanges } from "../../core/run-changes.ts";
import type { RunRecord, WholeRun } from "../../store/runs.ts";
import type { Store } from "../../store/open-store.ts";

export const SECRET_KEY = new Uint8Array(32).fill(7);

export const unique = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;

export const planOf = (...connections: readonly string[]): CompiledPlan => ({
  plan: { failurePolicy: "continue", policies: [], tasks: [] },
  configs: { a: { z: 1, b: 2 } },
  connections,
});

export const version = (pipeline: string, hash: string, plan = planOf()) => ({
  pipeline,
  hash: `${pipeline}/${hash}`,
  definition: { owner: "us", description: `content ${hash}`, name: pipeline },
  source: `name: ${pipeline} # ${hash}`,
  format: "yaml" as const,
  plan,
});

/** What the cases share; `store` is there when a case runs. */
export interface StoreKit {
  readonly store: Store;
  caseOf(name: string, run: () => Promise<void>): void;
  newRun(pipeline?: string, extra?: { idempotencyKey?: string; requestHash?: string }): Promise<RunRecord>;
  attemptsOf(id: string): Promise<WholeRun["attempts"] | undefined>;
  report(runId: string, seq: number, rest?: Partial<RunChanges>): RunChanges;
}

export const storeKit = (title: string, store: () => Store): StoreKit => {
  const caseOf = (name: string, run: () => Promise<void>): void => {
    it(`${title}: ${name}`, run);
  };
  const newRun = async (pipeline = unique("p"), extra: { idempotencyKey?: string; requestHash?: string } = {}): Promise<RunRecord> => {
    const id = randomUUID();
    const { run } = await store().runs.create({
      id,
      pipeline,
      version: 1,
      planHash: "h",
      origin: id,
      trigger: "http",
      params: { a: 1 },
      ...extra,
    });
    return run;
  };
  const attemptsOf = async (id: string) => (await store().runs.findWhole(id))?.attempts;
  const report = (runId: string, seq: number, rest: Partial<RunChanges> = {}): RunChanges => ({
    runId,
    seq,
    status: "running",
    startedAt: "2026-01-02T03:04:05.678Z",
    tasks: [],
    attempts: [],
    ...rest,
  });

  return {
    get store() {
      return store();
    },
    caseOf,
    newRun,
    attemptsOf,
    report,
  };
};
