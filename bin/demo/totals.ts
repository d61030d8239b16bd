// What the demo compares: the same three figures of a stream at its source and in the warehouse.

export interface Totals {
  readonly rows: number;
  /** Distinct ids: equal to `rows` unless something was doubled. */
  readonly ids: number;
  /** Sum of the stream's number column, as exact decimal text with two places. */
  readonly sum: string;
}

/** One table of the demo: where it ends up, and which columns make its totals. */
export interface DemoTable {
  readonly task: string;
  readonly table: string;
  readonly id: string;
  readonly amount: string;
}

export const TABLES: readonly DemoTable[] = [
  { task: "orders", table: "raw.orders", id: "id", amount: "amount" },
  { task: "clicks", table: "raw.clicks", id: "id", amount: "value" },
  { task: "prices", table: "raw.prices", id: "id", amount: "price" },
  { task: "reviews", table: "raw.reviews", id: "id", amount: "stars" },
  { task: "stock", table: "raw.stock", id: "id", amount: "quantity" },
];

export const totalsQuery = (relation: string, { id, amount }: Pick<DemoTable, "id" | "amount">): string =>
  `select count(*) as row_count, count(distinct ${id}) as id_count, coalesce(sum(cast(${amount} as decimal(18, 2))), 0) as amount_sum from ${relation}`;

export const sameTotals = (left: Totals, right: Totals): boolean =>
  left.rows === right.rows && left.ids === right.ids && left.sum === right.sum;
