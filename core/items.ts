// The items of a `for_each`: loops, evaluated one inside the other, to a flat list.

import { parseDuration } from "./duration.ts";
import { DownbeatError } from "./errors.ts";
import { renderTemplates, type Scope } from "./expression.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Loop } from "./plan.ts";

/** One item's values by name: what its expressions read as `each`. */
export type ItemValues = JsonObject;

/** Every combination, the innermost loop turning fastest. Throws EXPRESSION_FAILED. */
export const expandItems = (loops: readonly Loop[], scope: Scope): readonly ItemValues[] => {
  let items: ItemValues[] = [{}];
  for (const loop of loops) {
    const next: ItemValues[] = [];
    for (const each of items) {
      for (const value of valuesOf(loop, { ...scope, each })) {
        next.push({ ...each, [loop.as]: value });
        if (next.length > LIMITS.items)
          throw new DownbeatError(
            "EXPRESSION_FAILED",
            `for_each goes over more than ${LIMITS.items} items; split the run, or take them in groups`,
          );
      }
    }
    items = next;
  }
  return items;
};

const valuesOf = ({ as, in: given }: Loop, scope: Scope): Iterable<Json> => {
  const over = renderTemplates(given, scope);
  if (Array.isArray(over)) return over as readonly Json[];
  if (typeof over === "object" && over !== null && !Array.isArray(over)) {
    const { range, partitions } = over as JsonObject;
    if (range !== undefined) return rangeOf(range as JsonObject, as);
    if (partitions !== undefined) return partitionsOf(partitions as JsonObject, as);
  }
  throw new DownbeatError("EXPRESSION_FAILED", `for_each "${as}" goes over ${JSON.stringify(over).slice(0, 200)}, which is no list`);
};

function* rangeOf({ from = 0, to, step = 1 }: JsonObject, as: string): Generator<Json> {
  const [first, last, by] = [from, to, step].map(Number) as [number, number, number];
  if (![first, last, by].every(Number.isSafeInteger) || by === 0)
    throw new DownbeatError("EXPRESSION_FAILED", `for_each "${as}": a range needs whole numbers from, to and a step that is not 0`);
  for (let value = first; by > 0 ? value <= last : value >= last; value += by) yield value;
}

const CALENDAR = { month: 1, year: 12 } as const;

/** Intervals [start, end) in UTC, from `from` up to `to`; the last one may reach beyond. */
function* partitionsOf({ from, to, every = "1d" }: JsonObject, as: string): Generator<Json> {
  const [first, last] = [momentOf(from), momentOf(to)];
  const months = CALENDAR[every as keyof typeof CALENDAR] as number | undefined;
  const length = parseDuration(String(every));
  if (first === undefined || last === undefined || (months === undefined && !length)) {
    const message = `for_each "${as}": partitions need from and to as dates or moments, and every as a duration, "month" or "year"`;
    throw new DownbeatError("EXPRESSION_FAILED", message);
  }
  for (let count = 0, start = first; start < last; count += 1) {
    const end = months === undefined ? start + (length ?? 0) : addMonths(first, months * (count + 1));
    yield { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
    start = end;
  }
}

const addMonths = (moment: number, months: number): number => {
  const date = new Date(moment);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes());
};

const MOMENT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

const momentOf = (value: Json | undefined): number | undefined => {
  const moment = typeof value === "string" && MOMENT.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(moment) ? undefined : moment;
};
