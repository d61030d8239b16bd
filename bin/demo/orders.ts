// The demo's MySQL source: seeds orders, changes them, counts them.

import mysql from "mysql2/promise";
import { totalsQuery, type Totals } from "./totals.ts";

export interface MysqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

const DATABASE = "shop";

/** `number` from 0 to count - 1: ten digits crossed, which every MySQL and MariaDB can do. */
const numbers = (count: number): string => {
  const digits =
    "(select 0 d union all select 1 union all select 2 union all select 3 union all select 4 union all select 5 union all select 6 union all select 7 union all select 8 union all select 9)";
  const places = Math.max(1, Math.ceil(Math.log10(count)));
  const names = Array.from({ length: places }, (_, place) => `p${place}`);
  const number = names.map((name, place) => `${name}.d * ${10 ** place}`).join(" + ");
  return `(select ${number} as number from ${names.map((name) => `${digits} ${name}`).join(" cross join ")}) numbers where number < ${count}`;
};

/** Deterministic orders out of their id; several share an updated_at, as real tables do. */
const insertOrders = (firstId: number, count: number, updatedFrom: string): string => `
  insert into orders (id, customer_id, country, amount, status, note, created_at, updated_at)
  select ${firstId} + number, (${firstId} + number) * 7919 % 250000, elt(1 + (${firstId} + number) * 31 % 8, 'DE', 'FR', 'PL', 'IT', 'ES', 'NL', 'SE', 'JP'),
    (${firstId} + number) * 104729 % 1000000 / 100, elt(1 + (${firstId} + number) % 3, 'open', 'paid', 'shipped'),
    if((${firstId} + number) % 5 = 0, null, concat('naïve café 東京 ', ${firstId} + number)),
    timestamp '2026-01-01 00:00:00' + interval (number % 259200) minute, timestamp '${updatedFrom}' + interval floor(number / 3) * 1000 microsecond
  from ${numbers(count)}`;

export class OrdersSource {
  readonly #address: MysqlAddress;
  readonly #count: number;

  constructor({ host, port, user, password }: MysqlAddress, count: number) {
    this.#address = { host, port, user, password };
    this.#count = count;
  }

  /** Seeds the table; answers the rows that a first run moves. */
  async seed(): Promise<number> {
    await this.#run(undefined, `drop database if exists ${DATABASE}`, `create database ${DATABASE}`);
    await this.#run(
      DATABASE,
      `create table orders (id bigint unsigned not null primary key, customer_id int not null, country char(2) not null, amount decimal(12, 2) not null,
        status enum('open', 'paid', 'shipped') not null, note varchar(200), created_at datetime not null, updated_at datetime(6) not null,
        key by_change (updated_at, id)) engine = innodb default charset = utf8mb4`,
      insertOrders(1, this.#count, "2026-02-01 00:00:00"),
    );
    return this.#count;
  }

  /** Inserts and updates rows; answers how many a next run has to move. */
  async change(round: number): Promise<number> {
    const inserts = 5_000;
    const updates = 2_000;
    const at = `2026-0${5 + round}-01 00:00:00`;
    await this.#run(
      DATABASE,
      insertOrders(this.#count + 1 + (round - 1) * inserts, inserts, at),
      `update orders set amount = amount + 1.5, status = 'shipped', updated_at = timestamp '${at}' + interval 1 hour + interval id microsecond where id <= ${updates}`,
    );
    return inserts + updates;
  }

  async totals(): Promise<Totals> {
    const connection = await this.#connect(DATABASE);
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(totalsQuery("orders", { id: "id", amount: "amount" }));
      const row = rows[0];
      return { rows: Number(row?.["row_count"]), ids: Number(row?.["id_count"]), sum: String(row?.["amount_sum"]) };
    } finally {
      await connection.end();
    }
  }

  connection(): Record<string, unknown> {
    return { ...this.#address, database: DATABASE };
  }

  #connect(database: string | undefined): Promise<mysql.Connection> {
    return mysql.createConnection({ ...this.#address, ...(database === undefined ? {} : { database }) });
  }

  async #run(database: string | undefined, ...statements: readonly string[]): Promise<void> {
    const connection = await this.#connect(database);
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  }
}
