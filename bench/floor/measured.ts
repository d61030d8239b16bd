// What the floors of bench:transfer print: one JSON line.

/** Runs the work, which gives the rows that it moved, and prints what it took. */
export const printMeasured = async (work: () => Promise<number>): Promise<void> => {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const rows = await work();
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    JSON.stringify({
      rows,
      seconds: (performance.now() - started) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      peakMegabytes: process.resourceUsage().maxRSS / 1_024,
    }),
  );
};
