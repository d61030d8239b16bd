// What the small commands of bin do alike: help, and exit codes that tell "no" (1) from "it could not be done" (2).

import { DownbeatError } from "../core/errors.ts";
import { helpText } from "./config.ts";

/** Runs a command that answers whether all is well, and ends the process. */
export const runCommand = async (usage: string, main: () => Promise<boolean>): Promise<void> => {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    console.log(helpText(usage));
    return;
  }
  let code = 2;
  try {
    code = (await main()) ? 0 : 1;
  } catch (error) {
    const isUsage = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
    if (error instanceof DownbeatError) console.error(`${error.code}: ${error.message}`);
    else console.error(isUsage ? `${error.message}\n\n${usage}` : error);
  }
  // The native part of Temporal's SDK would keep the process alive.
  process.exit(code);
};

/** A whole number that the command line gives. */
export const wholeArgument = (name: string, text: string, least: number, most: number): number => {
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new DownbeatError("CONFIG_INVALID", `${name} is "${text}"; it takes a whole number from ${least} to ${most}`);
};
