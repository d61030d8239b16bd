// The items of a `for_each`: loops, evaluated one inside the other, to a flat list.

import { DownbeatError } from "./errors.ts";
import { renderTemplates, type Scope } from "./expression.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { type Cut, cutPartitions, readBound } from "./partitions.ts";
import type { Loop } from "./plan.ts";
import { isoIn, isTimeZone } from "./time-zone.ts";

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

/** Intervals [start, end) as a backfill has them; the last one ends at `to`. In UTC, with `timezone` by that zone's calendar and clocks. */
function* partitionsOf({ from, to, every = "day", timezone }: JsonObject, as: string): Generator<Json> {
  const refused = (why: string): DownbeatError => new DownbeatError("EXPRESSION_FAILED", `for_each "${as}": ${why}`);
  const zone = timezone === undefined ? "UTC" : String(timezone);
  if (!isTimeZone(zone)) throw refused(`"${zone}" is no time zone; write an IANA name such as "Europe/Berlin"`);
  const [first, last] = [readBound(String(from), zone), readBound(String(to), zone)];
  if (first === undefined || last === undefined) throw refused("partitions need from and to as dates or moments");
  if (first >= last) return;
  const shown = (moment: number): string => (timezone === undefined ? new Date(moment).toISOString() : isoIn(zone, moment));
  for (const [start, end] of pairsOf(boundsOf({ from: first, to: last, timezone: zone, every: String(every) }, refused)))
    yield { start: shown(start), end: shown(end) };
}

const boundsOf = (cut: Cut, refused: (why: string) => DownbeatError): readonly number[] => {
  try {
    return cutPartitions(cut, LIMITS.items).bounds;
  } catch (error) {
    throw error instanceof DownbeatError ? refused(error.message) : error;
  }
};

function* pairsOf(bounds: readonly number[]): Generator<readonly [number, number]> {
  for (const [index, end] of bounds.entries()) if (index > 0) yield [bounds[index - 1] ?? end, end];
}
