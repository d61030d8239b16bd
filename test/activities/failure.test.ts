// Errors on their way to Temporal: a code of the table as the type, never retryable to Temporal, bounded, without secrets.
import { type ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, it } from "vitest";
import { toFailure } from "../../activities/failure.ts";
import { DownbeatError } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";

const facts = { worker: "w1", lostAttempts: 2 };
const made = (error: unknown): ApplicationFailure => toFailure(error, facts) as ApplicationFailure;

describe("toFailure", () => {
  it("carries code, details and the other side's pause", () => {
    const failure = made(new DownbeatError("RATE_LIMITED", "later", { details: { status: 429 }, retryAfterMs: 5_000 }));
    expect(failure).toMatchObject({ type: "RATE_LIMITED", message: "later", nonRetryable: true });
    expect(failure.details).toEqual([{ ...facts, details: { status: 429 }, retryAfterMs: 5_000 }]);
  });

  it("calls what nobody foresaw INTERNAL", () => {
    expect(made(new TypeError("x is undefined"))).toMatchObject({
      type: "INTERNAL",
      message: "unforeseen: x is undefined",
      nonRetryable: true,
    });
    expect(made("a text")).toMatchObject({ type: "INTERNAL", message: "unforeseen: a text" });
  });

  it("lets a cancellation through as it is", () => {
    const cancelled = new CancelledFailure("stop");
    expect(toFailure(cancelled, facts)).toBe(cancelled);
  });

  it("cuts long messages and leaves out large details", () => {
    const failure = made(new DownbeatError("SQL_FAILED", "x".repeat(100_000), { details: { rows: "y".repeat(100_000), big: 1n } }));
    expect(failure.message.length).toBeLessThan(LIMITS.errorBytes + 20);
    expect(failure.details).toEqual([facts]);
    expect(made(new DownbeatError("SQL_FAILED", "x", { details: { big: 1n } })).details).toEqual([{ ...facts, details: { big: "1" } }]);
  });

  it.each([
    ["cannot reach postgres://shop:hunter2@db:5432/shop", "cannot reach postgres://shop:***@db:5432/shop"],
    ["cannot reach mysql://shop:p%40ss@db", "cannot reach mysql://shop:***@db"],
    ["host=db password=hunter2 port=5432", "host=db password=*** port=5432"],
    ["GET https://api.example/orders?token=hunter2&page=2 failed", "GET https://api.example/orders?token=***&page=2 failed"],
    ["nothing to hide at https://db:5432/x@y", "nothing to hide at https://db:5432/x@y"],
  ])("hides secrets in: %s", (message, shown) => {
    expect(made(new Error(message)).message).toBe(`unforeseen: ${shown}`);
  });
});
