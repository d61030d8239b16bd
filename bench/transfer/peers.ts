// The peers of bench:transfer and bench:merge, installed once into the cache and started as processes, as their users start them.

import path from "node:path";
import { cacheDir } from "../../bin/services/cache.ts";
import { pythonPrograms } from "../../bin/services/python.ts";
import type { ProgramMeasure } from "../lib/run-program.ts";
import { type Direction, moveByProgram, type Size } from "./direction.ts";

export interface Peer {
  readonly name: string;
  readonly move: (direction: Direction, size: Size) => Promise<ProgramMeasure>;
}

const DLT = [
  "dlt[duckdb,filesystem,parquet,postgres,s3,sql_database]==1.31.0",
  "confluent-kafka==2.12.1",
  "connectorx==0.4.6",
  "duckdb==1.5.5",
  "pandas==3.1.1",
  "pyarrow==26.0.1",
  "pymysql==1.1.2",
  "sqlalchemy==2.1.9",
];

/** The Python that has dlt, and the script for it. Throws when Python or its package registry cannot be had. */
export const installDlt = async (say: (line: string) => void): Promise<{ readonly python: string; readonly script: string }> => {
  const programs = await pythonPrograms("dlt", DLT, { env: process.env, cacheDir: cacheDir(), say });
  return { python: path.join(programs, "python"), script: path.join(import.meta.dirname, "dlt_move.py") };
};

export const installPeers = async (say: (line: string) => void): Promise<readonly Peer[]> => {
  const { python, script } = await installDlt(say);
  return [{ name: "dlt", move: (direction, size) => moveByProgram(python, script, direction, size) }];
};
