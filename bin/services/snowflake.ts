// Snowflake for tests: the emulator beside this file, on fakesnow. There is no server of Snowflake's own to be had.
import { type EmulatorAddress, startEmulator } from "./emulator.ts";
import type { ServiceOptions } from "./options.ts";
import type { Service } from "./server-process.ts";

export const startSnowflake = (options: ServiceOptions): Promise<Service<EmulatorAddress>> =>
  startEmulator(
    {
      name: "snowflake",
      title: "Snowflake",
      packages: ["fakesnow[server]==0.12.1", "snowflake-connector-python==3.18.1", "duckdb==2.0.1", "sqlglot[c]==30.22.0"],
      packed: "fakesnow",
      variable: "DOWNBEAT_TEST_SNOWFLAKE",
      /** A session that is asked for without a name: whatever is answered, somebody answers. */
      probe: async ({ endpoint }) => void (await fetch(`${endpoint}/session`, { method: "POST", signal: AbortSignal.timeout(5_000) })),
    },
    options,
  );
