// The orders as the floors of bench:transfer type them, in words that DuckDB and PostgreSQL share.

import pg from "pg";

const TYPES = {
  id: "BIGINT",
  customer_id: "INTEGER",
  amount: "DECIMAL(12, 2)",
  sku: "VARCHAR",
  note: "VARCHAR",
  updated_at: "TIMESTAMP",
  order_date: "DATE",
  is_paid: "BOOLEAN",
  attrs: "VARCHAR",
  score: "DOUBLE PRECISION",
};

/** For `create table`. */
const definitionOf = (types: Readonly<Record<string, string>>): string =>
  `(${Object.entries(types)
    .map(([name, type]) => `${name} ${type}`)
    .join(", ")})`;

export const ORDERS_DEFINITION = definitionOf(TYPES);

/** The same for DuckDB's readers of CSV and JSON. */
export const ORDERS_COLUMNS = `{${Object.entries(TYPES)
  .map(([name, type]) => `${name}: '${type}'`)
  .join(", ")}}`;

/** A connection to PostgreSQL, with an empty table `orders_floor`. */
export const connectWithTable = async (url: string, attrs: "json" | "text"): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`create table orders_floor ${definitionOf({ ...TYPES, attrs })}`);
  return client;
};
