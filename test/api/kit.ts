// The real app on a real store, with an orchestrator that writes down what it is asked: for tests of requests and answers.

import type { AddressInfo } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll } from "vitest";
import { z } from "zod";
import { createApp } from "../../api/app.ts";
import type { ApiDeps } from "../../api/deps.ts";
import type { Orchestrator, RunReference } from "../../api/orchestrator.ts";
import type { LimitDoor } from "../../api/orchestrator-limits.ts";
import type { BackfillDoor } from "../../api/orchestrator-backfills.ts";
import type { TriggerDoor } from "../../api/orchestrator-triggers.ts";
import type { ScheduleDoor, WantedSchedule } from "../../api/orchestrator-schedules.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import type { ConnectorSpec } from "../../connectors/connector.ts";
import { secret, secrets } from "../../connectors/lib/config.ts";
import { actedKey, type Keyed, keyReused, keyUse } from "../../core/acted-keys.ts";
import { controlBackfill, refuseBackfillControl } from "../../core/backfill.ts";
import { DownbeatError } from "../../core/errors.ts";
import { scheduleId } from "../../core/ids.ts";
import type { RunStatus } from "../../core/run-changes.ts";
import { nameOf } from "../../core/run-control.ts";
import type { TriggerSettings } from "../../core/trigger.ts";
import { emptySlots, resizeSlots, type Slots } from "../../core/slots.ts";
import { openStore, type Store } from "../../store/open-store.ts";
import { expectDocumented } from "./documented.ts";
import type { ConnectionLimits } from "../../core/circuit.ts";
import type {
  BackfillInput,
  CircuitReset,
  ControlAnswer,
  ControlRequest,
  PoolState,
  InspectInput,
  RunInput,
} from "../../workflows/messages.ts";
import type { InspectResult, TriggerEvent } from "../../workflows/ports.ts";

/** Opens nothing: the API never does. */
const sample: ConnectorSpec = {
  kind: "sample",
  title: "Sample",
  description: "A connector for tests",
  roles: ["source", "destination", "sql", "http"],
  config: z.strictObject({
    host: z.string(),
    port: z.int().optional(),
    password: secret().optional(),
    token: secret().optional(),
    keys: secrets("Several").optional(),
  }),
  capabilities: { incremental: "cursor", modes: ["append", "merge", "replace"] },
  open: () => Promise.reject(new Error("the API must not open connectors")),
};

export class RecordingOrchestrator implements Orchestrator {
  readonly namespace = "test-namespace";
  readonly started: RunInput[] = [];
  readonly cancelled: { readonly run: string; readonly reason: string }[] = [];
  readonly terminated: { readonly run: string; readonly reason: string }[] = [];
  readonly controlled: { readonly run: string; readonly request: ControlRequest; readonly keyed: Keyed | undefined }[] = [];
  readonly pools = new Map<string, Slots>();
  /** Where its owner lists some alone. */
  poolTotal: PoolState["total"];
  readonly inspected: InspectInput[] = [];
  readonly waits: number[] = [];
  /** Thrown by every call while it is set. */
  failure: Error | undefined;
  /** Temporal's view, by run id; absent: it knows no such run. */
  readonly statuses = new Map<string, RunStatus>();
  /** What happens while somebody waits. */
  whileWaiting: (run: RunReference) => Promise<"ended" | "open"> = () => Promise.resolve("open");
  inspectResult: InspectResult = { ok: true, milliseconds: 1 };

  /** `pipeline/name` of a schedule that Temporal does not take. */
  refusesSchedule: string | undefined;
  /** Temporal's schedules, by id. */
  readonly scheduled = new Map<string, WantedSchedule>();
  readonly schedules: ScheduleDoor = {
    ensure: (wanted) =>
      Promise.resolve().then(() => {
        this.#check();
        if (this.refusesSchedule === `${wanted.pipeline}/${wanted.name}`) throw new TypeError("Temporal refuses it");
        const before = this.scheduled.get(scheduleId(wanted));
        this.scheduled.set(scheduleId(wanted), wanted);
        if (before === undefined) return "created";
        return isDeepStrictEqual(before, wanted) ? "kept" : "changed";
      }),
    remove: (ref) =>
      Promise.resolve().then(() => {
        this.#check();
        return this.scheduled.delete(scheduleId(ref));
      }),
    list: () =>
      Promise.resolve().then(() => {
        this.#check();
        return [...this.scheduled.values()].map(({ pipeline, name, paused }) => ({ pipeline, name, paused, hasNext: !paused }));
      }),
  };

  /** What connections' owners were told, in order, and what they tell. */
  readonly limited: { readonly connection: string; readonly limits: ConnectionLimits | null }[] = [];
  readonly resets: { readonly connection: string; readonly reset: CircuitReset }[] = [];
  readonly owners = new Map<string, PoolState>();
  readonly limits: LimitDoor = {
    configure: (connection, limits) =>
      Promise.resolve().then(() => {
        this.#check();
        this.limited.push({ connection, limits });
      }),
    stateOf: (connection) => Promise.resolve(this.owners.get(connection)),
    reset: (connection, reset) => {
      this.resets.push({ connection, reset });
      return Promise.resolve(true);
    },
  };
  /** What was started, and what people did: by a backfill's id. */
  readonly backfillsStarted: BackfillInput[] = [];
  readonly backfillStatuses = new Map<string, "running" | "ended" | "stopped">();
  readonly backfills: BackfillDoor = {
    startAgain: (input) => this.backfills.start(input),
    start: (input) =>
      Promise.resolve().then(() => {
        this.#check();
        this.backfillsStarted.push(input);
        this.backfillStatuses.set(input.id, "running");
      }),
    control: ({ id }, { control }, keyed) =>
      Promise.resolve().then(() => {
        this.#check();
        const state = this.backfillsStarted.findLast((one) => one.id === id)?.state;
        if (state === undefined) throw new DownbeatError("ACTION_REFUSED", "it has ended");
        const reason = refuseBackfillControl(state, control);
        if (reason !== undefined) throw new DownbeatError("ACTION_REFUSED", reason);
        return controlBackfill(state, control, keyed);
      }),
    statusOf: ({ id }) =>
      Promise.resolve().then(() => {
        this.#check();
        return this.backfillStatuses.get(id) ?? "unknown";
      }),
  };

  /** What owners of triggers were told, and which run: by `pipeline/name`. */
  readonly triggerEvents: { readonly trigger: string; readonly event: TriggerEvent }[] = [];
  readonly triggerOwners = new Map<string, TriggerSettings>();
  readonly triggers: TriggerDoor = {
    ensure: (settings) =>
      Promise.resolve().then(() => {
        this.#check();
        const key = `${settings.pipeline}/${settings.name}`;
        const isKept = isDeepStrictEqual(this.triggerOwners.get(key), settings);
        this.triggerOwners.set(key, settings);
        return isKept ? "kept" : "changed";
      }),
    tell: ({ pipeline, name }, event) =>
      Promise.resolve().then(() => {
        this.#check();
        this.triggerEvents.push({ trigger: `${pipeline}/${name}`, event });
      }),
    stateOf: ({ pipeline, name }) =>
      Promise.resolve(
        this.triggerOwners.has(`${pipeline}/${name}`)
          ? { waiting: this.triggerEvents.filter(({ trigger }) => trigger === `${pipeline}/${name}`).length }
          : undefined,
      ),
    remove: ({ pipeline, name }) =>
      Promise.resolve().then(() => {
        this.#check();
        return this.triggerOwners.delete(`${pipeline}/${name}`);
      }),
    list: () =>
      Promise.resolve().then(() => {
        this.#check();
        return [...this.triggerOwners.values()].map(({ pipeline, name }) => ({ pipeline, name }));
      }),
  };

  #check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  startRun(input: RunInput): Promise<void> {
    return Promise.resolve().then(() => {
      this.#check();
      this.started.push(input);
      this.statuses.set(input.run.id, "running");
    });
  }

  waitForRun(run: RunReference, milliseconds: number): Promise<"ended" | "open"> {
    this.waits.push(milliseconds);
    return this.whileWaiting(run);
  }

  /** Like Temporal, it takes the request for runs that have ended as well. */
  cancelRun({ id }: RunReference, reason: string): Promise<void> {
    return Promise.resolve().then(() => {
      this.#check();
      if (!this.statuses.has(id)) throw new DownbeatError("TEMPORAL_UNAVAILABLE", "workflow not found");
      this.cancelled.push({ run: id, reason });
    });
  }

  terminateRun({ id }: RunReference, reason: string): Promise<void> {
    return Promise.resolve().then(() => {
      this.#check();
      this.terminated.push({ run: id, reason });
    });
  }

  controlRun({ id }: RunReference, request: ControlRequest, keyed: Keyed | undefined): Promise<ControlAnswer> {
    return Promise.resolve().then(() => {
      this.#check();
      const acted = this.controlled.flatMap((one) => (one.run === id && one.keyed !== undefined ? [actedKey(one.keyed)] : []));
      const use = keyUse(acted, keyed ?? {});
      if (use === "other") throw new DownbeatError("IDEMPOTENCY_KEY_REUSED", keyReused(keyed?.key));
      this.controlled.push({ run: id, request, keyed });
      if (use === "same") return { status: "running" };
      const { control, by, why, details } = request;
      const action = {
        number: this.controlled.filter(({ run }) => run === id).length,
        action: nameOf(control),
        ...("task" in control ? { taskId: control.task } : {}),
        by,
        ...(why === undefined ? {} : { why }),
        ...(details === undefined ? {} : { details }),
        ...keyed,
        at: new Date().toISOString(),
      };
      return { status: "running", action };
    });
  }

  resizePool(pool: string, slots: number): Promise<void> {
    return Promise.resolve().then(() => {
      this.#check();
      this.pools.set(pool, resizeSlots(this.pools.get(pool) ?? emptySlots(0), slots, 0).slots);
    });
  }

  poolState(pool: string): Promise<PoolState | undefined> {
    const slots = this.pools.get(pool);
    return Promise.resolve(slots && { pool, slots, ...(this.poolTotal === undefined ? {} : { total: this.poolTotal }) });
  }

  queueDepth(): Promise<{ readonly workflow: number; readonly activity: number }> {
    return Promise.resolve({ workflow: 0, activity: 0 });
  }

  statusOf({ id }: RunReference): Promise<RunStatus | undefined> {
    return Promise.resolve().then(() => {
      this.#check();
      return this.statuses.get(id);
    });
  }

  inspect(input: InspectInput): Promise<InspectResult> {
    this.inspected.push(input);
    return Promise.resolve(this.inspectResult);
  }

  check(): Promise<void> {
    return Promise.resolve().then(() => this.#check());
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed JSON; an empty object for everything else. */
  readonly body: unknown;
}

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface Kit {
  readonly store: Store;
  readonly orchestrator: RecordingOrchestrator;
  readonly deps: ApiDeps;
  readonly logs: LogLine[];
  readonly url: string;
  /** Sends text as YAML and everything else as JSON, unless headers say otherwise. */
  send(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

/** What `{ env: HOOK_SECRET }` leads to. */
export const HOOK_SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0";

/** One app for a test file. */
export const useApi = (options: Pick<ApiDeps, "apiKey" | "temporalUiUrl" | "metrics"> = {}): (() => Kit) => {
  let kit: Kit | undefined;
  let stop: () => Promise<void> = () => Promise.resolve();
  beforeAll(async () => {
    const store = await openStore({ url: "pglite:memory", secretKey: new Uint8Array(32).fill(3) });
    const orchestrator = new RecordingOrchestrator();
    const logs: LogLine[] = [];
    const logAs =
      (level: string) =>
      (fields: object, message: string): void => {
        logs.push({ level, fields: fields as LogLine["fields"], message });
      };
    const log = { info: logAs("info"), warn: logAs("warn"), error: logAs("error") };
    const resolveSecret: ApiDeps["resolveSecret"] = ({ env }) =>
      env === "HOOK_SECRET"
        ? Promise.resolve(HOOK_SECRET)
        : Promise.reject(new DownbeatError("SECRET_UNRESOLVED", `${String(env)} is not set`));
    const deps: ApiDeps = { store, orchestrator, catalogue: createCatalogue([sample]), log, resolveSecret, ...options };
    const server = createApp(deps).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    stop = async () => {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      await store.close();
    };
    const send: Kit["send"] = async (method, path, body, headers = {}) => {
      const type = typeof body === "string" ? "application/yaml" : "application/json";
      const response = await fetch(`${url}${path}`, {
        method,
        redirect: "manual",
        headers: { ...(body === undefined ? {} : { "content-type": type }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.includes("json") ?? false;
      const answer = { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as unknown) : {} };
      expectDocumented(method, path, answer);
      return answer;
    };
    kit = { store, orchestrator, deps, logs, url, send };
  });
  afterAll(() => stop());
  return () => {
    if (kit === undefined) throw new Error("the kit is there once the tests run");
    return kit;
  };
};

/** A definition of one task that needs no connection beyond `api`. */
export const definitionOf = (name: string, extra = ""): string => `apiVersion: downbeat/v1
name: ${name}
tasks:
  - id: call
    http: { connection: api, method: GET, path: /x }
${extra}`;
