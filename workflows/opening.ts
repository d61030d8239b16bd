// The first step of a run whose plan is not in its input: reads it from the store; one of a schedule gets its row there. Waits for a store that is away.

import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyLocalActivities,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { ERRORS, isErrorCode } from "../core/errors.ts";
import type { OpenedInput, RunInput, ScheduledInput } from "./messages.ts";
import { RECORD_OPTIONS } from "./policies.ts";
import type { DagActivities } from "./ports.ts";

const PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 5 * 60_000;
/** A store that is away for longer has lost what the run needs. */
const PATIENCE_MS = 3 * 24 * 3_600_000;

const { openRun, readStart } = proxyLocalActivities<DagActivities>(RECORD_OPTIONS);

export const open = async (input: ScheduledInput | OpenedInput): Promise<RunInput> => {
  if ("scheduled" in input) {
    const { scheduled } = input;
    const answer = await patiently(() => openRun({ ...scheduled, workflowId: workflowInfo().workflowId }));
    return { ...answer, planHash: scheduled.planHash };
  }
  // It is in the store already: who cancels it meanwhile finds it cancelled there, too.
  const { opened } = input;
  const { run, planHash } = opened;
  return { ...opened, ...(await CancellationScope.nonCancellable(() => patiently(() => readStart({ runId: run.id, planHash })))) };
};

const patiently = async <Value>(read: () => Promise<Value>): Promise<Value> => {
  const until = Date.now() + PATIENCE_MS;
  for (let pause = PAUSE_MS; ; pause = Math.min(pause * 2, MOST_PAUSE_MS)) {
    try {
      return await read();
    } catch (error) {
      if (isCancellation(error)) throw error;
      const cause = error instanceof ActivityFailure ? error.cause : error;
      const code = cause instanceof ApplicationFailure ? (cause.type ?? "") : "";
      const isFinal = (isErrorCode(code) && !ERRORS[code].retry) || Date.now() >= until;
      const message = cause instanceof Error ? cause.message : String(cause);
      if (isFinal) throw ApplicationFailure.nonRetryable(`the run could not be opened: ${message}`, code === "" ? "INTERNAL" : code);
      setCurrentDetails(`Waits for Downbeat's store to open the run: ${message}`);
      await sleep(pause);
    }
  }
};
