// `npm run bench:transfer`: mixed rows from MySQL into DuckDB and PostgreSQL, through API, Temporal and worker, against the fastest hand-written way.
// ROWS and PAIRS make it smaller.

import { formatTable, grouped } from "../bin/table.ts";
import { seedOrders } from "./data/orders.ts";
import { formatSpread, median, runPairs, secondsOf } from "./lib/pairs.ts";
import { peakMegabytesOf } from "./lib/process-usage.ts";
import { sourceTotals, toDuckdb, toPostgres, type Direction } from "./transfer/directions.ts";
import { startSystems, type Systems } from "./transfer/systems.ts";

const ROWS = Number(process.env["ROWS"] ?? 5_000_000);
const PAIRS = Number(process.env["PAIRS"] ?? 9);
const SMALL_ROWS = Math.floor(ROWS / 5);

const ALLOWED_RATIO = 1.5;
const ALLOWED_EXTRA_MEGABYTES = 350;
const ALLOWED_GROWTH = 1.2;

const say = (line: string): void => console.log(line);

/** Peaks differ by a tenth from one worker to the next, by when their garbage is collected. */
const PEAKS = 3;

/** Peak memory of a worker that does this one transfer. */
const workerPeak = async (systems: Systems, direction: Direction, table: string, rows: number): Promise<number> => {
  const peaks: number[] = [];
  for (let taken = 0; taken < PEAKS; taken += 1) {
    await systems.freshWorker();
    await direction.ours(table, rows);
    peaks.push(peakMegabytesOf(systems.workerPid()));
  }
  return median(peaks);
};

const measure = async (systems: Systems, direction: Direction) => {
  const small = await workerPeak(systems, direction, "orders_small", SMALL_ROWS);
  const large = await workerPeak(systems, direction, "orders", ROWS);
  const [expected, found] = [await sourceTotals(systems, "orders"), await direction.totals()];
  if (expected !== found) throw new Error(`${direction.name}: the source has ${expected}, the destination ${found}`);
  const floorPeaks: number[] = [];
  const result = await runPairs(
    PAIRS,
    () => direction.ours("orders", ROWS),
    async () => {
      const floor = await direction.floor("orders", ROWS);
      floorPeaks.push(floor.peakMegabytes);
      return floor;
    },
  );
  const [ours, floor] = [secondsOf(result.ours), secondsOf(result.floor)];
  const cpu = (measures: typeof result.ours): number => median(measures.map(({ cpuSeconds }) => cpuSeconds));
  const floorPeak = median(floorPeaks);
  return {
    direction: direction.name,
    rows: ROWS,
    pairs: PAIRS,
    ours,
    floor,
    ratio: ours.median / floor.median,
    rows_per_second: Math.round(ROWS / ours.median),
    cpu_seconds: { ours: cpu(result.ours), floor: cpu(result.floor), ratio: cpu(result.ours) / cpu(result.floor) },
    peak_megabytes: { ours: large, ours_small: small, floor: floorPeak, growth: large / small },
    measured_by_allowed: {
      time: ours.median / floor.median / ALLOWED_RATIO,
      memory: large / (floorPeak + ALLOWED_EXTRA_MEGABYTES),
      growth: large / small / ALLOWED_GROWTH,
    },
  };
};

const main = async (systems: Systems): Promise<number> => {
  say(`seeding ${grouped(ROWS)} rows`);
  await seedOrders(systems.mysql, "orders", ROWS, systems.folder);
  await seedOrders(systems.mysql, "orders_small", SMALL_ROWS, systems.folder);
  const figures = [];
  for (const direction of [toDuckdb(systems), toPostgres(systems)]) {
    const figure = await measure(systems, direction);
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
        "rows/s",
        "CPU s ours",
        "floor",
        "MB ours",
        `at ${grouped(SMALL_ROWS)}`,
        "floor",
      ],
      figures.map(({ direction, ours, floor, ratio, rows_per_second, cpu_seconds, peak_megabytes }) => [
        direction,
        formatSpread(ours),
        formatSpread(floor),
        ratio.toFixed(2),
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
    `allowed: ${ALLOWED_RATIO} × the floor's time; the floor's memory + ${ALLOWED_EXTRA_MEGABYTES} MB; ${ALLOWED_GROWTH} × the memory of a fifth of the rows`,
  );
  const worst = Math.max(...figures.flatMap(({ measured_by_allowed }) => Object.values(measured_by_allowed)));
  say(JSON.stringify({ bench: "transfer", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

const systems = await startSystems(say);
try {
  process.exitCode = await main(systems);
} finally {
  await systems.stop();
}
