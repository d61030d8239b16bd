// Emulators of services that only their makers run: Python programs beside this file, or an address given by the user.
import path from "node:path";
import { freePort, portFrom } from "../ports.ts";
import { fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { firstWay } from "./provision.ts";
import { pythonPrograms } from "./python.ts";
import { runServer, type Service } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

export interface EmulatorAddress {
  readonly endpoint: string;
}

export interface Emulator {
  /** Of the service; its program is `NAME_emulator.py`. */
  readonly name: string;
  /** For messages. */
  readonly title: string;
  /** Packages of exact versions, and what they are called together. */
  readonly packages: readonly string[];
  readonly packed: string;
  /** The variable that gives the address of one that runs already: http://host:port. */
  readonly variable: string;
  /** Fails as long as nobody answers. */
  readonly probe: (address: EmulatorAddress) => Promise<void>;
}

/** Python reads some hundred modules first. */
const STARTUP_MS = 60_000;

export const startEmulator = async (emulator: Emulator, options: ServiceOptions): Promise<Service<EmulatorAddress>> => {
  const { name, title, packages, packed, variable, probe } = emulator;
  const filled = fillOptions(options);
  const { dir, say, env } = filled;
  const given = env[variable];
  if (given !== undefined && given !== "") {
    const address = { endpoint: given };
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused(variable));
    return withAddress(address, notOurs(title));
  }
  const programs = await firstWay<string>(
    `${title}'s emulator`,
    [{ name: `pip install ${packed}`, attempt: () => pythonPrograms(name, packages, filled) }],
    say,
    `Install Python 3.10 or newer with venv, or set ${variable} to an emulator's address.`,
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = { endpoint: `http://127.0.0.1:${port}` };
  const server = {
    name,
    program: path.join(programs, "python"),
    args: [path.join(import.meta.dirname, `${name}_emulator.py`), String(port)],
    env,
    folder: dir,
    startupMs: STARTUP_MS,
  };
  return withAddress(address, await runServer({ ...server, probe: () => probe(address) }));
};
