// `npm run bench:transfer`: mixed rows from MySQL, S3 and Kafka into DuckDB and PostgreSQL, through API, Temporal and worker, against the fastest
// hand-written way and the fastest peer. Words of the command line choose directions: npm run bench:transfer -- mysql-duckdb.
// ROWS, PAIRS and PEERS make it smaller.

import { formatTable, grouped } from "../bin/table.ts";
import { formatSpread, type Measure, median, runTurns, secondsOf } from "./lib/pairs.ts";
import { peakMegabytesOf } from "./lib/process-usage.ts";
import type { ProgramMeasure } from "./lib/run-program.ts";
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
import { installPeers, type Peer } from "./transfer/peers.ts";
import { kafkaSource, mysqlSource, s3Source } from "./transfer/sources.ts";
import { type SourceSystem, startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 5_000_000);
const PAIRS = Number(process.env["PAIRS"] ?? 9);
/** `none` leaves them out. */
const PEERS = process.env["PEERS"] ?? "all";
/** The small size has a fifth of the rows; a topic has a fifth as many messages as other sources have rows. */
const FIFTH = 5;

/** So many times as long as the floor. */
const ALLOWED_RATIO = 1.2;
const ALLOWED_EXTRA_MEGABYTES = 350;
const ALLOWED_GROWTH = 1.2;
/** So many times as fast as the fastest peer. */
const WANTED_OF_PEERS = 2;

const say = (line: string): void => console.log(line);

/** Peaks differ by a tenth from one worker to the next, by when their garbage is collected. */
const PEAKS = 3;

interface Plan extends Pick<Direction, "floorScript"> {
  /** On the command line. */
  readonly id: string;
  readonly system: SourceSystem;
  readonly source: string;
  readonly destination: string;
}

const PLANS: readonly Plan[] = [
  { id: "mysql-duckdb", system: "mysql", source: "MySQL", destination: "DuckDB", floorScript: "mysql-to-duckdb.ts" },
  { id: "mysql-postgres", system: "mysql", source: "MySQL", destination: "PostgreSQL", floorScript: "mysql-to-postgres.ts" },
  { id: "s3-parquet-duckdb", system: "s3", source: "S3 Parquet", destination: "DuckDB", floorScript: "s3-to-duckdb.ts" },
  { id: "s3-csv-duckdb", system: "s3", source: "S3 CSV.gz", destination: "DuckDB", floorScript: "s3-to-duckdb.ts" },
  { id: "s3-csv-postgres", system: "s3", source: "S3 CSV.gz", destination: "PostgreSQL", floorScript: "s3-to-postgres.ts" },
  { id: "kafka-duckdb", system: "kafka", source: "Kafka JSON", destination: "DuckDB", floorScript: "kafka-to-duckdb.ts" },
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

const measure = async (systems: Systems, direction: Direction, peers: readonly Peer[]) => {
  const { source, destination } = direction;
  const name = nameOf(direction);
  const small = await workerPeak(systems, direction, "small");
  const large = await workerPeak(systems, direction, "large");
  const [expected, found] = [await source.totals("large"), await destination.totals()];
  if (expected !== found) throw new Error(`${name}: the source has ${expected}, the destination ${found}`);
  const programs = [
    (): Promise<ProgramMeasure> => moveFloor(direction, "large"),
    ...peers.map(
      ({ move }) =>
        () =>
          move(direction, "large"),
    ),
  ];
  const [ourMeasures = [], floorMeasures = [], ...peerMeasures] = await runTurns<Measure & Partial<ProgramMeasure>>(PAIRS, [
    () => moveOurs(systems, direction, "large"),
    ...programs,
  ]);
  const [ours, floor] = [secondsOf(ourMeasures), secondsOf(floorMeasures)];
  const cpu = (measures: readonly Measure[]): number => median(measures.map(({ cpuSeconds }) => cpuSeconds));
  const peak = (measures: readonly Partial<ProgramMeasure>[]): number => median(measures.map(({ peakMegabytes = 0 }) => peakMegabytes));
  const beside = peers.map((peer, place) => {
    const measures = peerMeasures[place] ?? [];
    return { name: peer.name, ...secondsOf(measures), cpu_seconds: cpu(measures), peak_megabytes: peak(measures) };
  });
  const fastest = beside.toSorted((left, right) => left.median - right.median)[0];
  const millions = source.rows.large / 1e6;
  return {
    direction: name,
    rows: source.rows.large,
    pairs: PAIRS,
    ours,
    floor,
    ratio: ours.median / floor.median,
    peers: beside,
    ...(fastest === undefined ? {} : { fastest_peer: fastest.name, peer_by_ours: fastest.median / ours.median }),
    rows_per_second: Math.round(source.rows.large / ours.median),
    cpu_seconds_per_million: { ours: cpu(ourMeasures) / millions, floor: cpu(floorMeasures) / millions },
    peak_megabytes: { ours: large, ours_small: small, floor: peak(floorMeasures), growth: large / small },
    measured_by_allowed: {
      time: ours.median / floor.median / ALLOWED_RATIO,
      memory: large / (peak(floorMeasures) + ALLOWED_EXTRA_MEGABYTES),
      growth: large / small / ALLOWED_GROWTH,
      ...(fastest === undefined ? {} : { peers: WANTED_OF_PEERS / (fastest.median / ours.median) }),
    },
  };
};

const main = async (systems: Systems): Promise<number> => {
  const figures = [];
  const filled = new Map<string, TransferSource>();
  const peers = PEERS === "none" ? [] : await installPeers(say);
  for (const { source, destination, floorScript } of plans) {
    if (!filled.has(source)) say(`fills ${source}`);
    const from = filled.get(source) ?? (await SOURCES[source]?.(systems));
    const to = DESTINATIONS[destination]?.(systems);
    if (from === undefined || to === undefined) throw new Error(`there is no ${source} or no ${destination}`);
    filled.set(source, from);
    const figure = await measure(systems, { source: from, destination: to, floorScript }, peers);
    const others = [{ name: "floor", ...figure.floor }, ...figure.peers].map((each) => `${each.name} ${each.median.toFixed(2)} s`);
    say(`${figure.direction}: ${figure.ours.median.toFixed(2)} s, ${others.join(", ")}`);
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
        "fastest peer s (spread)",
        "peer by ours",
        "rows/s",
        "CPU s/M ours",
        "floor",
        "MB ours",
        "at a fifth",
        "floor",
      ],
      figures.map(({ direction, ours, floor, ratio, peers: beside, fastest_peer, peer_by_ours, ...more }) => {
        const { rows_per_second, cpu_seconds_per_million: cpu, peak_megabytes: peak } = more;
        const fastest = beside.find(({ name }) => name === fastest_peer);
        return [
          direction,
          formatSpread(ours),
          formatSpread(floor),
          ratio.toFixed(2),
          fastest === undefined ? "–" : `${fastest.name} ${formatSpread(fastest)}`,
          peer_by_ours?.toFixed(2) ?? "–",
          grouped(rows_per_second),
          cpu.ours.toFixed(2),
          cpu.floor.toFixed(2),
          peak.ours.toFixed(0),
          peak.ours_small.toFixed(0),
          peak.floor.toFixed(0),
        ];
      }),
    ),
  );
  say(
    `wanted: ${WANTED_OF_PEERS} times as fast as the fastest peer; allowed: ${ALLOWED_RATIO} times the floor's time; the floor's memory + ${ALLOWED_EXTRA_MEGABYTES} MB; ${ALLOWED_GROWTH} × the memory of a fifth of the rows`,
  );
  const worst = Math.max(...figures.flatMap(({ measured_by_allowed }) => Object.values(measured_by_allowed)));
  say(JSON.stringify({ bench: "transfer", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((word) => PLANS.every(({ id }) => id !== word));
if (unknown.length > 0) throw new Error(`there is no direction ${unknown.join(", ")}; there are ${PLANS.map(({ id }) => id).join(", ")}`);
const plans = chosen.length === 0 ? PLANS : PLANS.filter(({ id }) => chosen.includes(id));
const systems = await startSystems(say, { sources: new Set(plans.map(({ system }) => system)) });
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
