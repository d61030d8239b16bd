// The demo's command line.

import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly chaos: boolean;
  readonly seed: number;
  readonly kills: number;
  readonly orders: number;
  readonly clicks: number;
  readonly keep: boolean;
}

export const HELP = `npm run demo [-- options]

Starts MySQL, Kafka, S3 and PostgreSQL, seeds them, and moves everything over plain HTTP calls: once to DuckDB, once to PostgreSQL;
changes the sources, runs again, and compares every warehouse total with its source.

  --chaos        kill the worker, Temporal and the API on the way
  --seed N       repeat the kill points of an earlier run (printed at its start)
  --kills N      worker kills at least (default 20)
  --orders N     rows in MySQL (default 1000000)
  --clicks N     messages in Kafka (default 200000)
  --keep         leave the working folder with all logs and data
  --help         this text`;

export const parseOptions = (args: readonly string[]): DemoOptions | "help" => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      chaos: { type: "boolean", default: false },
      seed: { type: "string" },
      kills: { type: "string", default: "20" },
      orders: { type: "string", default: "1000000" },
      clicks: { type: "string", default: "200000" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    chaos: values.chaos,
    keep: values.keep,
    seed: values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : wholeNumber("--seed", values.seed, 0),
    kills: wholeNumber("--kills", values.kills, 1),
    orders: wholeNumber("--orders", values.orders, 10_000),
    clicks: wholeNumber("--clicks", values.clicks, 1_000),
  };
};

const wholeNumber = (name: string, text: string, least: number): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`${name} takes a whole number from ${least}, not "${text}"`);
};
