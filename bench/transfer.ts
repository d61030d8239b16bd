// `npm run bench:transfer`: mixed rows from MySQL, S3 and Kafka into DuckDB and PostgreSQL, through API, Temporal and worker, against the fastest
// hand-written way. ROWS, PAIRS and ONLY make it smaller.

import { formatTable, grouped } from "../bin/table.ts";
import { formatSpread, median, runPairs, secondsOf } from "./lib/pairs.ts";
import { peakMegabytesOf } from "./lib/process-usage.ts";
import { duckdbDestination, postgresDestination } from "./transfer/destinations.ts";
import {
  type Direction,
  moveFloor,
  moveOurs,
  nameOf,
  type Size,
  type TransferDestination,
  type TransferSource,
} from "./transfer/direction.ts";
import { kafkaSource, mysqlSource, s3Source } from "./transfer/sources.ts";
import { type SourceSystem, startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 5_000_000);
const PAIRS = Number(process.env["PAIRS"] ?? 9);
const ONLY = process.env["ONLY"] ?? "";
/** The small size has a fifth of the rows; a topic has a fifth as many messages as other sources have rows. */
const FIFTH = 5;

const ALLOWED_EXTRA_MEGABYTES = 350;
const ALLOWED_GROWTH = 1.2;

const say = (line: string): void => console.log(line);

/** Peaks differ by a tenth from one worker to the next, by when their garbage is collected. */
const PEAKS = 3;

interface Plan extends Pick<Direction, "floorScript" | "allowedRatio"> {
  readonly system: SourceSystem;
  readonly source: string;
  readonly destination: string;
}

const PLANS: readonly Plan[] = [
  { system: "mysql", source: "MySQL", destination: "DuckDB", floorScript: "mysql-to-duckdb.ts", allowedRatio: 1.5 },
  { system: "mysql", source: "MySQL", destination: "PostgreSQL", floorScript: "mysql-to-postgres.ts", allowedRatio: 1.5 },
  { system: "s3", source: "S3 Parquet", destination: "DuckDB", floorScript: "s3-to-duckdb.ts", allowedRatio: 1.2 },
  { system: "s3", source: "S3 CSV.gz", destination: "DuckDB", floorScript: "s3-to-duckdb.ts", allowedRatio: 1.2 },
  { system: "s3", source: "S3 CSV.gz", destination: "PostgreSQL", floorScript: "s3-to-postgres.ts", allowedRatio: 1.2 },
  { system: "kafka", source: "Kafka JSON", destination: "DuckDB", floorScript: "kafka-to-duckdb.ts", allowedRatio: 1.2 },
];

const rowsOf = (rows: number) => ({ large: rows, small: Math.floor(rows / FIFTH) });

const SOURCES: Readonly<Record<string, (systems: Systems) => Promise<TransferSource>>> = {
  MySQL: (systems) => mysqlSource(systems, rowsOf(ROWS)),
  "S3 Parquet": (systems) => s3Source(systems, rowsOf(ROWS), "parquet"),
  "S3 CSV.gz": (systems) => s3Source(systems, rowsOf(ROWS), "csv.gz"),
  "Kafka JSON": (systems) => kafkaSource(systems, rowsOf(Math.floor(ROWS / FIFTH))),
};

const DESTINATIONS: Readonly<Record<string, (systems: Systems) => TransferDestination>> = {
  DuckDB: duckdbDestination,
  PostgreSQL: postgresDestination,
};

/** Peak memory of a worker that does this one transfer. */
const workerPeak = async (systems: Systems, direction: Direction, size: Size): Promise<number> => {
  const peaks: number[] = [];
  for (let taken = 0; taken < PEAKS; taken += 1) {
    await systems.freshWorker();
    await moveOurs(systems, direction, size);
    peaks.push(peakMegabytesOf(systems.workerPid()));
  }
  return median(peaks);
};

const measure = async (systems: Systems, direction: Direction) => {
  const { source, destination, allowedRatio } = direction;
  const name = nameOf(direction);
  const small = await workerPeak(systems, direction, "small");
  const large = await workerPeak(systems, direction, "large");
  const [expected, found] = [await source.totals("large"), await destination.totals()];
  if (expected !== found) throw new Error(`${name}: the source has ${expected}, the destination ${found}`);
  const floorPeaks: number[] = [];
  const result = await runPairs(
    PAIRS,
    () => moveOurs(systems, direction, "large"),
    async () => {
      const floor = await moveFloor(direction, "large");
      floorPeaks.push(floor.peakMegabytes);
      return floor;
    },
  );
  const [ours, floor] = [secondsOf(result.ours), secondsOf(result.floor)];
  const cpu = (measures: typeof result.ours): number => median(measures.map(({ cpuSeconds }) => cpuSeconds));
  const floorPeak = median(floorPeaks);
  return {
    direction: name,
    rows: source.rows.large,
    pairs: PAIRS,
    ours,
    floor,
    ratio: ours.median / floor.median,
    allowed_ratio: allowedRatio,
    rows_per_second: Math.round(source.rows.large / ours.median),
    cpu_seconds: { ours: cpu(result.ours), floor: cpu(result.floor), ratio: cpu(result.ours) / cpu(result.floor) },
    peak_megabytes: { ours: large, ours_small: small, floor: floorPeak, growth: large / small },
    measured_by_allowed: {
      time: ours.median / floor.median / allowedRatio,
      memory: large / (floorPeak + ALLOWED_EXTRA_MEGABYTES),
      growth: large / small / ALLOWED_GROWTH,
    },
  };
};

const main = async (systems: Systems): Promise<number> => {
  const figures = [];
  const filled = new Map<string, TransferSource>();
  for (const { source, destination, floorScript, allowedRatio } of plans) {
    if (!filled.has(source)) say(`fills ${source}`);
    const from = filled.get(source) ?? (await SOURCES[source]?.(systems));
    const to = DESTINATIONS[destination]?.(systems);
    if (from === undefined || to === undefined) throw new Error(`there is no ${source} or no ${destination}`);
    filled.set(source, from);
    const figure = await measure(systems, { source: from, destination: to, floorScript, allowedRatio });
    say(`${figure.direction}: ${figure.ours.median.toFixed(2)} s, floor ${figure.floor.median.toFixed(2)} s`);
    figures.push(figure);
  }
  say("");
  say(
    formatTable(
      [
        "direction",
        "ours s (spread)",
        "floor s (spread)",
        "ratio",
        "allowed",
        "rows/s",
        "CPU s ours",
        "floor",
        "MB ours",
        "at a fifth",
        "floor",
      ],
      figures.map(({ direction, ours, floor, ratio, allowed_ratio, rows_per_second, cpu_seconds, peak_megabytes }) => [
        direction,
        formatSpread(ours),
        formatSpread(floor),
        ratio.toFixed(2),
        allowed_ratio.toFixed(1),
        grouped(rows_per_second),
        cpu_seconds.ours.toFixed(1),
        cpu_seconds.floor.toFixed(1),
        peak_megabytes.ours.toFixed(0),
        peak_megabytes.ours_small.toFixed(0),
        peak_megabytes.floor.toFixed(0),
      ]),
    ),
  );
  say(
    `allowed beside the times: the floor's memory + ${ALLOWED_EXTRA_MEGABYTES} MB; ${ALLOWED_GROWTH} × the memory of a fifth of the rows`,
  );
  const worst = Math.max(...figures.flatMap(({ measured_by_allowed }) => Object.values(measured_by_allowed)));
  say(JSON.stringify({ bench: "transfer", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

const plans = PLANS.filter(({ source, destination }) => `${source} → ${destination}`.includes(ONLY));
if (plans.length === 0) throw new Error(`ONLY: no direction's name has "${ONLY}" in it`);
const systems = await startSystems(say, { sources: new Set(plans.map(({ system }) => system)) });
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
