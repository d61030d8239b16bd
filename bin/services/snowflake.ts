// Snowflake for tests: an endpoint given by the user, or the emulator beside this file on fakesnow. There is no server of Snowflake's own to be had.
import path from "node:path";
import { freePort, portFrom } from "../ports.ts";
import { fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { firstWay } from "./provision.ts";
import { pythonPrograms } from "./python.ts";
import { runServer, type Service } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

export interface SnowflakeAddress {
  readonly endpoint: string;
}

const PACKAGES = ["fakesnow[server]==0.12.1", "snowflake-connector-python==3.18.1", "duckdb==2.0.1", "sqlglot==30.22.0"];
/** Python reads some hundred modules first. */
const STARTUP_MS = 60_000;

/** A session that is asked for without a name: whatever is answered, somebody answers. */
const probe = async ({ endpoint }: SnowflakeAddress): Promise<void> => {
  await fetch(`${endpoint}/session`, { method: "POST", signal: AbortSignal.timeout(5_000) });
};

/** Starts the emulator, or takes the one at DOWNBEAT_TEST_SNOWFLAKE (http://host:port). */
export const startSnowflake = async (options: ServiceOptions): Promise<Service<SnowflakeAddress>> => {
  const filled = fillOptions(options);
  const { dir, say, env } = filled;
  const given = env["DOWNBEAT_TEST_SNOWFLAKE"];
  if (given !== undefined && given !== "") {
    const address = { endpoint: given };
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_SNOWFLAKE"));
    return withAddress(address, notOurs("Snowflake"));
  }
  const programs = await firstWay<string>(
    "Snowflake's emulator",
    [{ name: "pip install fakesnow", attempt: () => pythonPrograms("snowflake", PACKAGES, filled) }],
    say,
    "Install Python 3.10 or newer with venv, or set DOWNBEAT_TEST_SNOWFLAKE to an emulator's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = { endpoint: `http://127.0.0.1:${port}` };
  const server = {
    name: "snowflake",
    program: path.join(programs, "python"),
    args: [path.join(import.meta.dirname, "snowflake_emulator.py"), String(port)],
    env,
    folder: dir,
    startupMs: STARTUP_MS,
  };
  return withAddress(address, await runServer({ ...server, probe: () => probe(address) }));
};
