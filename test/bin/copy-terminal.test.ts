// What a copy does at a terminal: a line that redraws itself, notes above it, passwords without echo, questions with an answer.

import { PassThrough } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { createAsking } from "../../bin/copy/ask.ts";
import { createDisplay } from "../../bin/copy/display.ts";

const screen = (isTTY: boolean) => {
  const written: string[] = [];
  return { written, isTTY, columns: 60, write: (text: string) => written.push(text) };
};

const figures = { rows: 1_000, bytes: 2_000, chunks: 1 };
const CLEAR = "\r\u{1B}[K";
const nothing = { rows: 0, bytes: 0 };

describe("the display", () => {
  it("keeps notes above the line on a terminal, cuts the line to its width and takes it away at the end", () => {
    const terminal = screen(true);
    const display = createDisplay(terminal);
    const follower = display.follow("orders", nothing, 10_000);
    expect(terminal.written[0]?.startsWith(`${CLEAR}orders  ░`)).toBe(true);
    expect(terminal.written[0]?.length).toBe(CLEAR.length + 59);
    display.note("something happened");
    expect(terminal.written.slice(1, 3)).toEqual([CLEAR, "something happened\n"]);
    expect(terminal.written[3]).toBe(terminal.written[0]);
    follower.end();
    expect(terminal.written.at(-1)).toBe(CLEAR);
  });

  it("writes whole lines and no statuses elsewhere", () => {
    vi.useFakeTimers();
    try {
      const file = screen(false);
      const display = createDisplay(file);
      display.status("connecting");
      const follower = display.follow("orders", nothing, undefined);
      follower.show(figures);
      vi.advanceTimersByTime(5_000);
      follower.end();
      vi.advanceTimersByTime(50_000);
      expect(file.written).toEqual([expect.stringMatching(/^orders {2}1,000 rows .* 1 chunk\n$/)]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("questions", () => {
  const ends = (isTTY = true) => {
    const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined });
    const output = Object.assign(new PassThrough(), { isTTY });
    const controller = new AbortController();
    const interrupt = (): void => controller.abort(new Error("stopped"));
    const asking = createAsking({
      input: input as unknown as NodeJS.ReadStream,
      output: output as unknown as NodeJS.WriteStream,
      signal: controller.signal,
      interrupt,
    });
    return { input, asking, shown: (): string => String(output.read() ?? "") };
  };

  it("are asked of nobody where there is no terminal", () => {
    expect(ends(false).asking).toBeUndefined();
  });

  it("show nothing of a password", async () => {
    const { input, asking, shown } = ends();
    const answer = asking?.password("Password: ");
    input.write("geheim\r");
    expect(await answer).toBe("geheim");
    expect(shown()).toBe("Password: \n");
  });

  it.each([
    ["y", true],
    ["yes", true],
    ["n", false],
    ["", false],
  ])("take %j for %s", async (text, expected) => {
    const { input, asking, shown } = ends();
    const answer = asking?.confirm("Go on?");
    input.write(`${text}\r`);
    expect(await answer).toBe(expected);
    expect(shown()).toContain("Go on? [y/N] ");
  });

  it("end with Ctrl-C", async () => {
    const { input, asking } = ends();
    const answer = asking?.password("Password: ");
    input.write("\u{3}");
    await expect(answer).rejects.toThrow();
  });
});
