// The same pipeline as pipeline.yaml, written in TypeScript: npm run deploy -- examples/commerce/pipeline.ts

import { expr, pipeline, task } from "downbeat/pipeline";

// --- ingest: three systems, side by side
const orders = task("orders", {
  description: "Rows changed since the last run, in the order of (updated_at, id)",
  transfer: {
    from: { connection: "shop", stream: "orders", cursor: "updated_at", lookback: expr`params.lookback` },
    to: { connection: "warehouse", table: "raw.orders", mode: "merge", key: ["id"], schema: "evolve" },
    dead_letters: { max_rows: 100 },
  },
});

const clicks = task("clicks", {
  description: "Messages behind the last committed offsets",
  transfer: {
    from: { connection: "events", stream: "clicks", format: "json" },
    to: { connection: "warehouse", table: "raw.clicks", mode: "append" },
    dead_letters: { max_rows: 100 },
  },
});

const prices = task("prices", {
  description: "Objects that were not taken in before",
  transfer: {
    from: {
      connection: "lake",
      stream: "prices/*.csv.gz",
      new_only: true,
      columns: { id: "int64", sku: "string", price: "decimal(12,2)", valid_from: "date" },
    },
    to: { connection: "warehouse", table: "raw.prices", mode: "append" },
  },
});

const reviews = task("reviews", {
  transfer: {
    from: { connection: "lake", stream: "reviews/*.jsonl", new_only: true },
    to: { connection: "warehouse", table: "raw.reviews", mode: "append" },
  },
});

const stock = task("stock", {
  description: "The whole stock each time, swapped in one step",
  transfer: {
    from: { connection: "lake", stream: "stock/*.parquet" },
    to: { connection: "warehouse", table: "raw.stock", mode: "replace" },
  },
});

// --- transform: SQL that DuckDB and PostgreSQL both read
const revenue = task("revenue", {
  needs: [orders, clicks, prices, reviews, stock],
  sql: {
    connection: "warehouse",
    query: `create schema if not exists mart;
drop table if exists mart.revenue;
create table mart.revenue as
  select cast(created_at as date) as day, country, count(*) as orders, sum(amount) as revenue
  from raw.orders group by 1, 2
`,
    output: "select count(distinct country) as countries, count(*) as days from mart.revenue",
  },
});

// --- guard
const trust = task("trust", {
  needs: [revenue],
  check: {
    connection: "warehouse",
    table: "mart.revenue",
    expect: [
      { row_count: { min: 1 } },
      { unique: [["day", "country"]] },
      { not_null: ["day", "country", "revenue"] },
      {
        name: "revenue covers every order",
        sql: "select 1 from (select sum(orders) as n from mart.revenue) m, (select count(*) as n from raw.orders) o where m.n <> o.n",
      },
    ],
  },
});

// --- activate
const publishFiles = task("publish_files", {
  needs: [trust],
  publish: {
    from: { connection: "warehouse", query: "select * from mart.revenue order by day, country" },
    to: { connection: "lake", table: "published/revenue", format: "parquet" },
  },
});

const publishWebhook = task("publish_webhook", {
  needs: [trust],
  publish: {
    from: { connection: "warehouse", query: "select country, sum(revenue) as revenue from mart.revenue group by country order by country" },
    to: { connection: "partner", path: "/revenue", batch_size: 5 },
  },
});

export default pipeline({
  name: "commerce",
  description: "Orders, clicks and files into the warehouse; modelled, checked, published",
  owner: "data-platform",
  params: {
    type: "object",
    additionalProperties: false,
    properties: { lookback: { type: "string", format: "duration", default: "PT0S" } },
  },
  defaults: {
    retry: { attempts: 5, backoff: "1s", max_backoff: "1m" },
    timeout: { attempt: "30m", total: "4h", heartbeat: "5s" },
  },
  // Independent branches go on; the run still fails.
  failure_policy: "continue",
  tasks: [orders, clicks, prices, reviews, stock, revenue, trust, publishFiles, publishWebhook],
});
