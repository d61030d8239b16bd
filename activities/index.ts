// Builds the activities that the worker registers: the verbs with what they need, and the reports to the store.

import type { Runs } from "../store/runs.ts";
import type { Triggers } from "../store/triggers.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { type BackfillDeps, createBackfillActivities } from "./backfills.ts";
import { createCheck } from "./check.ts";
import { createCommand, type CommandHost } from "./command.ts";
import { createFile } from "./file.ts";
import { createEventRuns, type EventRunDeps } from "./event-runs.ts";
import { createHttp } from "./http.ts";
import { createCheckConnection, createDiscoverConnection } from "./inspect.ts";
import { createMapped, type MappedDeps } from "./mapped.ts";
import { createOpenSubRun, openSubRun, type OpenSubRunDeps } from "./open-sub-run.ts";
import { createPools, type PoolOwners } from "./pools.ts";
import { createOpenRun, createReadStart, type OpenRunDeps } from "./open-run.ts";
import { createProbe, type ProbeDeps } from "./probe.ts";
import { createPublish } from "./publish.ts";
import { createRenderInput } from "./render-input.ts";
import { runVerb } from "./run-verb.ts";
import { createSingleItems } from "./single-items.ts";
import { createSql } from "./sql.ts";
import { createTellListeners, type TellListenersDeps } from "../store/tell-listeners.ts";
import { createTransfer, type TransferDeps } from "./transfer.ts";
import type { Verb } from "./verb.ts";
import { createWatchEvents, type WatchDeps } from "./watch-events.ts";

export interface ActivityDeps
  extends TransferDeps,
    MappedDeps,
    OpenRunDeps,
    OpenSubRunDeps,
    ProbeDeps,
    BackfillDeps,
    EventRunDeps,
    WatchDeps,
    Pick<TellListenersDeps, "tellTrigger"> {
  readonly triggers: Triggers;
  readonly poolOwners: PoolOwners;
  readonly commands: CommandHost;
  readonly applyRunChanges: Runs["apply"];
}

export const createActivities = (deps: ActivityDeps): DagActivities => {
  const registered = (operator: string, verb: Verb): DagActivities["transfer"] => {
    return (call) => runVerb(operator, verb, call, deps);
  };
  const tellListeners = createTellListeners(deps);
  const verbs = {
    transfer: createTransfer(deps),
    sql: createSql(deps),
    http: createHttp(deps),
    check: createCheck(deps),
    publish: createPublish(deps),
    command: createCommand(deps),
    file: createFile(deps),
  };
  return {
    transfer: registered("transfer", verbs.transfer),
    sql: registered("sql", verbs.sql),
    http: registered("http", verbs.http),
    check: registered("check", verbs.check),
    publish: registered("publish", verbs.publish),
    command: registered("command", verbs.command),
    file: registered("file", verbs.file),
    ...createMapped(deps, verbs),
    probe: registered("wait", createProbe(deps)),
    ...createPools(deps.poolOwners, deps.worker),
    ...createBackfillActivities(deps),
    ...createEventRuns(deps),
    ...createWatchEvents(deps),
    openRun: createOpenRun(deps),
    readStart: createReadStart(deps),
    renderInput: createRenderInput(deps),
    openSubRun: createOpenSubRun(deps),
    ...createSingleItems({ ...deps, openSubRun: (call) => openSubRun(deps, call) }),
    async recordRun(changes) {
      const { isHeard } = await deps.applyRunChanges(changes);
      if (isHeard) await tellListeners(changes);
    },
    checkConnection: createCheckConnection(deps.openConnection, deps.log),
    discoverConnection: createDiscoverConnection(deps.openConnection, deps.log),
  };
};
