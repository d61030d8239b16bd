// What a copy shows while it goes on: a line that redraws itself on a terminal, a line every few seconds elsewhere.

import type { LoadFigures } from "../../activities/move-load.ts";
import { grouped } from "../table.ts";

type Shown = Pick<LoadFigures, "rows" | "bytes" | "chunks">;

export interface Follower {
  show(figures: Shown): void;
  end(): void;
}

export interface Display {
  /** One line for good. */
  note(line: string): void;
  /** What goes on just now, on a terminal alone; undefined: nothing any more. */
  status(line: string | undefined): void;
  /** Shows how a table comes along; `before`: what was committed when it went on. */
  follow(table: string, before: Pick<LoadFigures, "rows" | "bytes">, estimate: number | undefined): Follower;
}

/** Where it is written: standard error, so that standard output stays for results. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const LINE_EVERY_MS = 5_000;
const BAR_WIDTH = 24;

export const createDisplay = (screen: Screen): Display => {
  const isTerminal = screen.isTTY === true;
  let line: string | undefined;
  const draw = (text: string): void => {
    line = text.slice(0, Math.max(20, (screen.columns || 80) - 1));
    screen.write(`\r\x1b[K${line}`);
  };
  const clear = (): void => {
    if (line !== undefined) screen.write("\r\x1b[K");
    line = undefined;
  };
  return {
    note(text) {
      const shown = line;
      clear();
      screen.write(`${text}\n`);
      if (shown !== undefined) draw(shown);
    },
    status(text) {
      if (!isTerminal) return;
      if (text === undefined) clear();
      else draw(text);
    },
    follow(table, before, estimate) {
      const started = performance.now();
      let figures: Shown = { ...before, chunks: 0 };
      const show = (): void => {
        const text = describeProgress(table, figures, { before: before.rows, estimate, seconds: (performance.now() - started) / 1_000 });
        if (isTerminal) draw(text);
        else screen.write(`${text}\n`);
      };
      if (isTerminal) show();
      const timer = setInterval(show, isTerminal ? REDRAW_MS : LINE_EVERY_MS);
      return {
        show(now) {
          figures = now;
        },
        end() {
          clearInterval(timer);
          clear();
        },
      };
    },
  };
};

interface Pace {
  readonly before: number;
  readonly estimate: number | undefined;
  readonly seconds: number;
}

/** One line; `estimate` is the source's own guess, so that the end is only about there. */
export const describeProgress = (table: string, { rows, bytes, chunks }: Shown, { before, estimate, seconds }: Pace): string => {
  const rate = seconds > 0 ? (rows - before) / seconds : 0;
  const parts = [`${grouped(rows)} rows`, `${grouped(Math.round(rate))} rows/s`, sizeText(bytes), clock(seconds), count(chunks, "chunk")];
  if (estimate === undefined || estimate <= 0) return [table, ...parts].join("  ");
  const share = Math.min(rows / estimate, 0.99);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}`;
  const left = rate > 0 && rows < estimate ? [`about ${clock((estimate - rows) / rate)} left`] : [];
  return [table, bar, `${Math.floor(share * 100)}%`, ...parts, ...left].join("  ");
};

export const sizeText = (bytes: number): string => {
  const [unit, one] = bytes < 1e6 ? ["kB", 1e3] : bytes < 1e9 ? ["MB", 1e6] : ["GB", 1e9];
  return `${(bytes / Number(one)).toFixed(1)} ${unit}`;
};

/** "0:07", "1:02:03". */
export const clock = (seconds: number): string => {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
};

const count = (number: number, noun: string): string => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
