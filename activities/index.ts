// Builds the activities that the worker registers: the verbs with what they need, and the reports to the store.

import type { RunChanges } from "../core/run-changes.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { createCheck } from "./check.ts";
import type { OpenConnection } from "./connections.ts";
import { createHttp } from "./http.ts";
import { createCheckConnection, createDiscoverConnection } from "./inspect.ts";
import { createOpenRun, type OpenRunDeps } from "./open-run.ts";
import { createProbe } from "./probe.ts";
import { createPublish } from "./publish.ts";
import { runVerb, type VerbHost } from "./run-verb.ts";
import { createSql } from "./sql.ts";
import { createTransfer } from "./transfer.ts";
import type { Verb, VerbDeps } from "./verb.ts";

export interface ActivityDeps extends VerbDeps, VerbHost, OpenRunDeps {
  readonly openConnection: OpenConnection;
  readonly applyRunChanges: (changes: RunChanges) => Promise<void>;
}

export const createActivities = (deps: ActivityDeps): DagActivities => {
  const registered = (operator: string, verb: Verb): DagActivities["transfer"] => {
    return (call) => runVerb(operator, verb, call, deps);
  };
  return {
    transfer: registered("transfer", createTransfer(deps)),
    sql: registered("sql", createSql(deps)),
    http: registered("http", createHttp(deps)),
    check: registered("check", createCheck(deps)),
    publish: registered("publish", createPublish(deps)),
    probe: registered("wait", createProbe(deps)),
    openRun: createOpenRun(deps),
    recordRun: (changes) => deps.applyRunChanges(changes),
    checkConnection: createCheckConnection(deps.openConnection, deps.log),
    discoverConnection: createDiscoverConnection(deps.openConnection, deps.log),
  };
};
