// Mixed rows, for MySQL and as files: pure integer arithmetic on the id, so that the same rows come out on every machine.

import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { createConnection, type RowDataPacket } from "mysql2/promise";

export interface SeedAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export const ORDERS_DATABASE = "bench";

const TABLE = `
  id bigint not null primary key, customer_id int not null, amount decimal(12, 2) not null, sku varchar(40) not null, note varchar(200) null,
  updated_at datetime(6) not null, order_date date not null, is_paid tinyint(1) not null, attrs json not null, score double not null`;

const WORDS =
  "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu naïve café straße 東京 order shipped returned".split(
    " ",
  );
const LIST = `[${WORDS.map((word) => `'${word}'`).join(", ")}]`;
const NOTE_WORDS = 14;
const LETTERS = 26;

/** The macros spread an id evenly without random numbers or hashes, whose results differ between versions. */
const MACROS = [
  "create macro mix(i, s) as (((i * 2654435761 + s * 40503) % 4294967291) * 1103515245 + 12345 + s) % 2147483647",
  `create macro note(id) as (${Array.from({ length: NOTE_WORDS }, (_, place) => `${LIST}[1 + (mix(id, ${100 + 7 * place}) % ${WORDS.length})::int]`).join(" || ' ' || ")})[1:(20 + mix(id, 47) % 120)::int]`,
];

/** Rows with the ids behind `after`, as text where MySQL's LOAD DATA wants text. */
const rowsSql = (rows: number, after = 0): string => `
  select id::bigint as id,
    (mix(id, 11) % 250000)::int as customer_id,
    ((mix(id, 23) % 100000000)::decimal(18, 0) / 100)::decimal(12, 2) as amount,
    'SKU-' || lpad((mix(id, 31) % 1000000)::varchar, 6, '0') || '-' || chr((65 + mix(id, 37) % 26)::int) || lpad((mix(id, 41) % 10000000000)::varchar, 10, '0') as sku,
    case when mix(id, 43) % 5 = 0 then null else note(id) end as note,
    strftime(timestamp '2024-01-01' + to_microseconds(id * 7000000 + mix(id, 53) % 1000000), '%Y-%m-%d %H:%M:%S.%f') as updated_at,
    (date '2020-01-01' + (mix(id, 59) % 2190)::int) as order_date,
    (mix(id, 61) % 3 <> 0)::int as is_paid,
    '{"channel": "' || ${LIST}[1 + (mix(id, 67) % ${LETTERS})::int] || '", "items": ' || (1 + mix(id, 71) % 20) || ', "vip": ' || (case when mix(id, 73) % 7 = 0 then 'true' else 'false' end) || '}' as attrs,
    ((mix(id, 79) % 1000000007)::double / 1000.0) as score
  from range(${after + 1}, ${after + rows + 1}) t(id)`;

/** The same with the types that a warehouse would have. */
const typedSql = (rows: number, after: number): string =>
  `select * replace (updated_at::timestamp as updated_at, (is_paid = 1) as is_paid) from (${rowsSql(rows, after)})`;

export type OrdersFormat = "parquet" | "csv.gz" | "jsonl";

const COPY_OPTIONS: Readonly<Record<OrdersFormat, string>> = {
  parquet: "format parquet",
  "csv.gz": "format csv, header, compression gzip",
  jsonl: "format json",
};

/** The rows as so many files in the folder, and what `totals` selects over all of them, as DuckDB computes it. */
export const writeOrders = async (
  folder: string,
  format: OrdersFormat,
  { rows, files, totals }: { readonly rows: number; readonly files: number; readonly totals: string },
): Promise<{ readonly paths: readonly string[]; readonly totals: Readonly<Record<string, unknown>> }> => {
  await mkdir(folder, { recursive: true });
  await using duckdb = await openDuckdb();
  const paths: string[] = [];
  for (let file = 0; file < files; file += 1) {
    const [after, next] = [Math.floor((rows * file) / files), Math.floor((rows * (file + 1)) / files)];
    const target = path.join(folder, `orders-${String(file).padStart(3, "0")}.${format}`);
    await duckdb.connection.run(`copy (${typedSql(next - after, after)}) to '${target.replaceAll("'", "''")}' (${COPY_OPTIONS[format]})`);
    paths.push(target);
  }
  const reader = await duckdb.connection.runAndReadAll(`${totals} (${typedSql(rows, 0)})`);
  return { paths, totals: reader.getRowObjectsJson()[0] ?? {} };
};

/** Makes table `name` with so many rows; a table that has them already is kept. */
export const seedOrders = async (address: SeedAddress, name: string, rows: number, folder: string): Promise<void> => {
  const { host, port, user, password } = address;
  const connection = await createConnection({ host, port, user, password });
  try {
    await connection.query(`create database if not exists ${ORDERS_DATABASE}`);
    await connection.query(`use ${ORDERS_DATABASE}`);
    if ((await countOf(connection, name)) === rows) return;
    await connection.query(`drop table if exists ${name}`);
    await connection.query(`create table ${name} (${TABLE}) engine = innodb default charset = utf8mb4`);
    const file = path.join(folder, `${name}.csv`);
    await mkdir(folder, { recursive: true });
    await writeCsv(file, rows);
    await connection.query("set session unique_checks = 0");
    await connection.query({
      sql: `load data local infile ? into table ${name} character set utf8mb4`,
      values: [file],
      infileStreamFactory: () => createReadStream(file),
    });
    await connection.query(`analyze table ${name}`);
    await rm(file);
  } finally {
    await connection.end();
  }
};

const countOf = async (connection: Awaited<ReturnType<typeof createConnection>>, name: string): Promise<number> => {
  const [tables] = await connection.query<RowDataPacket[]>("show tables like ?", [name]);
  if (tables.length === 0) return -1;
  const [counts] = await connection.query<RowDataPacket[]>(`select count(*) as n from ${name}`);
  return Number(counts[0]?.["n"]);
};

const openDuckdb = async () => {
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await instance.connect();
  for (const macro of MACROS) await connection.run(macro);
  return {
    connection,
    [Symbol.asyncDispose]: () => {
      connection.closeSync();
      instance.closeSync();
      return Promise.resolve();
    },
  };
};

const writeCsv = async (file: string, rows: number): Promise<void> => {
  await using duckdb = await openDuckdb();
  await duckdb.connection.run(
    `copy (${rowsSql(rows)}) to '${file.replaceAll("'", "''")}' (header false, nullstr '\\N', delimiter '\t', quote '', escape '')`,
  );
};
