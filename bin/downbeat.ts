// `npx downbeat COMMAND`: the commands that need no server of Downbeat's.

import { DownbeatError } from "../core/errors.ts";

const USAGE = `downbeat COMMAND [arguments]

  copy   copies tables, files or topics once, without a pipeline: downbeat copy mysql://user@host/db duckdb://file.duckdb --table orders

downbeat COMMAND --help says more. What runs pipelines is started with npm start.`;

const COMMANDS: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = {
  copy: async (argv) => (await import("./copy/copy.ts")).copy(argv),
};

const main = async ([name, ...argv]: readonly string[]): Promise<number> => {
  const command = COMMANDS[name ?? ""];
  if (command !== undefined) return command(argv);
  const isHelp = name === "--help" || name === "-h";
  if (isHelp) console.log(USAGE);
  else console.error(name === undefined ? USAGE : `✗ there is no command "${name}"\n\n${USAGE}`);
  return isHelp ? 0 : 2;
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof DownbeatError) console.error(`${error.code}: ${error.message}`);
  else console.error(error);
  process.exitCode = error instanceof DownbeatError && error.code === "CONFIG_INVALID" ? 2 : 1;
}
// Drivers may keep a process alive that has nothing left to do.
process.exit();
