// One direction of bench:transfer: how ours and the floor move the rows once, and how the result is looked at.

import path from "node:path";
import type { RunView } from "../../bin/api-client.ts";
import type { Json } from "../../core/json.ts";
import type { Measure } from "../lib/pairs.ts";
import { cpuSecondsOf } from "../lib/process-usage.ts";
import { type ProgramMeasure, runProgram } from "../lib/run-program.ts";
import type { Systems } from "./systems.ts";

/** `small`: a fifth of them, to see whether memory grows with the rows. */
export type Size = "small" | "large";

export interface TransferSource {
  readonly name: string;
  readonly rows: Readonly<Record<Size, number>>;
  readonly connection: { readonly kind: string; readonly config: Readonly<Record<string, Json>> };
  /** Keys of a transfer's `from`. */
  readonly from: (size: Size) => Readonly<Record<string, Json>>;
  /** The first argument of the scripts of floors and peers. */
  readonly floor: (size: Size) => Json;
  /** Figures of the rows, to be compared with the destination's. */
  readonly totals: (size: Size) => Promise<string>;
}

export interface TransferDestination {
  readonly name: string;
  /** Makes room for one load; gives its connection. */
  readonly prepare: () => Promise<{ readonly kind: string; readonly config: Readonly<Record<string, Json>> }>;
  /** Makes room for one load of the floor or of a peer; gives the further arguments of its script. */
  readonly prepareFloor: () => Promise<readonly string[]>;
  /** Of what ours has written last. */
  readonly totals: () => Promise<string>;
}

export interface Direction {
  readonly source: TransferSource;
  readonly destination: TransferDestination;
  /** In bench/floor. */
  readonly floorScript: string;
}

/** Exact on all systems: counts and sums of integers and decimals. */
export const TOTALS = `select count(*) as n, count(note) as notes, sum(cast(amount as decimal(18, 2))) as amount, sum(customer_id) as customers, min(updated_at) as first,
  max(updated_at) as last, sum(length(sku)) as sku from`;

export const textOf = (row: Readonly<Record<string, unknown>> | undefined): string =>
  Object.values(row ?? {})
    .map((value) =>
      String(value)
        .replace("T", " ")
        .replace(/Z$/, "")
        // Of fractions alone: 10 is not 1.
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, ""),
    )
    .join(" | ");

export const nameOf = ({ source, destination }: Pick<Direction, "source" | "destination">): string =>
  `${source.name} → ${destination.name}`;

/** Through API, Temporal and worker: from the trigger over HTTP to success by the API. */
export const moveOurs = async (systems: Systems, { source, destination }: Direction, size: Size): Promise<Measure> => {
  const { api } = systems;
  await api.call("PUT", "/v1/connections/source", source.connection);
  await api.call("PUT", "/v1/connections/destination", await destination.prepare());
  await api.call("PUT", "/v1/pipelines/moved", {
    apiVersion: "downbeat/v1",
    name: "moved",
    tasks: [
      {
        id: "orders",
        transfer: {
          from: { connection: "source", ...source.from(size) },
          to: { connection: "destination", table: "orders", mode: "append" },
        },
      },
    ],
  });
  const pids = [systems.workerPid(), systems.apiPid];
  const cpu = cpuSecondsOf(pids);
  const started = performance.now();
  const ended = await api.call<RunView>("POST", "/v1/pipelines/moved/runs?wait=600s", {});
  const measure = { seconds: (performance.now() - started) / 1_000, cpuSeconds: cpuSecondsOf(pids) - cpu };
  const moved = ended.tasks[0]?.metrics?.rows;
  if (ended.status !== "succeeded" || moved !== source.rows[size]) {
    throw new Error(`the run ended ${ended.status} with ${moved} rows: ${JSON.stringify(ended.tasks[0]?.error)}`);
  }
  return measure;
};

export const moveFloor = (direction: Direction, size: Size): Promise<ProgramMeasure> =>
  moveByProgram(process.execPath, path.resolve(import.meta.dirname, "../floor", direction.floorScript), direction, size);

/** By a program that takes what the floors' scripts take. */
export const moveByProgram = async (
  program: string,
  script: string,
  { source, destination }: Direction,
  size: Size,
): Promise<ProgramMeasure> =>
  runProgram(program, [script, JSON.stringify(source.floor(size)), ...(await destination.prepareFloor())], source.rows[size]);
