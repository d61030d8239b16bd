// Keyset reading for SQL sources: WHERE and ORDER BY that go on exactly behind a row, also among equal cursor values.

import { DownbeatError } from "../../core/errors.ts";
import type { Column } from "../batch.ts";
import { formatDate, formatTimestamp, parseDate, parseTimestamp } from "./calendar.ts";

/** Values travel as text so that no digit is lost. */
export interface KeysetOptions {
  /** Quoted columns, cursor first when there is one. */
  readonly columns: readonly string[];
  /** Makes the i-th value's placeholder, cast to the column's type; counts from `first`. */
  readonly placeholder: (column: number, parameter: number) => string;
  readonly after: readonly string[] | null;
  /** Upper end of the first column, inclusive. */
  readonly until?: string | undefined;
  /** The first column is compared with >= instead of past the whole position: a look back. */
  readonly from?: string | undefined;
}

export interface KeysetClause {
  readonly where: string;
  readonly orderBy: string;
  readonly params: readonly string[];
}

/** (a, b) > (x, y) is written out as a > x or (a = x and b > y), with a >= x in front, so that every system uses its index. */
export const keysetClause = ({ columns, placeholder, after, until, from }: KeysetOptions): KeysetClause => {
  const params: string[] = [];
  const bind = (column: number, value: string): string => {
    params.push(value);
    return placeholder(column, params.length);
  };
  const conditions: string[] = [];
  if (from !== undefined) conditions.push(`${columns[0]} >= ${bind(0, from)}`);
  else if (after !== null && after.length > 0) {
    conditions.push(`${columns[0]} >= ${bind(0, after[0] ?? "")}`);
    const alternatives = after.map((value, depth) => {
      const equal = after.slice(0, depth).map((before, column) => `${columns[column]} = ${bind(column, before)}`);
      return `(${[...equal, `${columns[depth]} > ${bind(depth, value)}`].join(" and ")})`;
    });
    conditions.push(`(${alternatives.join(" or ")})`);
  }
  if (until !== undefined) conditions.push(`${columns[0]} <= ${bind(0, until)}`);
  return {
    where: conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`,
    orderBy: columns.length === 0 ? "" : ` order by ${columns.join(", ")}`,
    params,
  };
};

/** Cursor first, then what breaks its ties; all of them must be columns that are read. */
export const orderColumns = (
  request: { readonly stream: string; readonly cursor?: string },
  key: readonly string[],
  columns: readonly Column[],
): readonly string[] => {
  const order = [...(request.cursor === undefined ? [] : [request.cursor]), ...key.filter((name) => name !== request.cursor)];
  const missing = order.find((name) => !columns.some((column) => column.name === name));
  if (missing === undefined) return order;
  throw new DownbeatError(
    "CURSOR_INVALID",
    `${request.stream} has no column "${missing}" among those that are read: ${columns.map(({ name }) => name).join(", ")}`,
  );
};

/** Rows of equal cursor values can only be told apart by a key: without one a load has no place to go on from, but for its end. */
export const isResumable = (request: { readonly cursor?: string }, order: readonly string[]): boolean =>
  order.length > (request.cursor === undefined ? 0 : 1);

/** A cursor value, as the source writes it, moved back in time. */
export const lookBack = (value: string, milliseconds: number): string => {
  const days = parseDate(value);
  if (days !== undefined) return formatDate(days - Math.ceil(milliseconds / 86_400_000));
  const parsed = parseTimestamp(value);
  if (parsed === undefined) throw new DownbeatError("CURSOR_INVALID", `lookback needs a date or a timestamp as cursor, not "${value}"`);
  const zone = /(Z|[+-]\d{2}(:?\d{2})?)$/.exec(value.slice(10))?.[0] ?? "";
  return `${formatTimestamp(parsed.micros - BigInt(milliseconds) * 1_000n).replace("T", " ")}${zone}`;
};
