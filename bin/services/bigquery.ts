// BigQuery for tests: the emulator beside this file, on DuckDB. There is no server of Google's own to be had.
import { type EmulatorAddress, startEmulator } from "./emulator.ts";
import type { ServiceOptions } from "./options.ts";
import type { Service } from "./server-process.ts";

export const startBigquery = (options: ServiceOptions): Promise<Service<EmulatorAddress>> =>
  startEmulator(
    {
      name: "bigquery",
      title: "BigQuery",
      packages: ["duckdb==2.0.1", "sqlglot[c]==30.22.0"],
      packed: "duckdb sqlglot",
      variable: "DOWNBEAT_TEST_BIGQUERY",
      probe: async ({ endpoint }) => void (await fetch(endpoint, { signal: AbortSignal.timeout(5_000) })),
    },
    options,
  );
