// Loaded before a process of ours (`--import`): its wall clock is off by as many milliseconds as the file says that CLOCK_FILE names, from one moment to the next.

import { readFileSync } from "node:fs";

const LOOK_EVERY_MS = 20;
const file = process.env["CLOCK_FILE"] ?? "";
const RealDate = Date;
let offset = 0;

const look = (): void => {
  try {
    offset = Number(readFileSync(file, "utf8"));
  } catch {
    offset = 0;
  }
};
look();
setInterval(look, LOOK_EVERY_MS).unref();

class JumpingDate extends RealDate {
  constructor(...args: [] | [value: number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + offset);
    // Dates of several parts go on as they are.
    else super(...(args as [number]));
  }

  static override now(): number {
    return RealDate.now() + offset;
  }
}
globalThis.Date = JumpingDate as DateConstructor;
