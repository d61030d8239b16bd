// What tasks have really done: rows in a PostgreSQL of its own, which no round kills, and gates that hold tasks until a round opens them.

import pg from "pg";
import type { PostgresAddress } from "../../bin/services/postgres.ts";

/** One try of a task: the row says when it began. */
export interface Effect {
  readonly run: string;
  readonly task: string;
  /** 0: no item. */
  readonly item: number;
  readonly at: number;
}

const SCHEMA = `
  create table effects (run text not null, task text not null, item int not null, at timestamptz not null);
  create table gates (gate text primary key);
  create function mark(run text, task text, item int) returns void language sql as
    $$ insert into effects values (run, task, item, clock_timestamp()) $$;
  create function is_open(wanted text) returns boolean language sql as $$ select exists (select from gates where gate = wanted) $$;
  create function hold(wanted text) returns void language plpgsql as
    $$ begin while not is_open(wanted) loop perform pg_sleep(0.05); end loop; end $$;
  create function mark_and_hold(run text, task text, item int, gate text) returns void language plpgsql as
    $$ begin perform mark(run, task, item); perform hold(gate); end $$;
  create function mark_if_open(run text, task text, item int, gate text) returns void language plpgsql as
    $$ begin
      if not is_open(gate) then raise exception 'the gate is closed' using errcode = '42000'; end if;
      perform mark(run, task, item);
    end $$;
  create function mark_if_well(run text, task text, gate text) returns void language plpgsql as
    $$ begin
      if not is_open(gate) then raise exception 'the disk is gone' using errcode = '58000'; end if;
      perform mark(run, task, 0);
    end $$;
  create table uses (task text not null, began timestamptz not null, ended timestamptz not null);
  create function use_for(task text, seconds float) returns void language plpgsql as
    $$ declare began timestamptz := clock_timestamp(); begin
      perform pg_sleep(seconds);
      insert into uses values (task, began, clock_timestamp());
    end $$;
`;

export class Effects {
  readonly #pool: pg.Pool;

  constructor({ url }: PostgresAddress) {
    this.#pool = new pg.Pool({ connectionString: url, max: 2 });
    // Its server ends when the test does, a moment before the last connection may have: who asks something meets the error anyway.
    this.#pool.on("error", () => undefined);
  }

  async create(): Promise<void> {
    await this.#pool.query(SCHEMA);
  }

  async openGate(gate: string): Promise<void> {
    await this.#pool.query("insert into gates values ($1) on conflict do nothing", [gate]);
  }

  async of(runs: readonly string[]): Promise<readonly Effect[]> {
    const { rows } = await this.#pool.query<Omit<Effect, "at"> & { readonly at: Date }>(
      "select run, task, item, at from effects where run = any($1) order by at",
      [runs],
    );
    return rows.map((row) => ({ ...row, at: row.at.getTime() }));
  }

  /** How many statements stay at gates now: what they mark is not to be seen before they end. */
  async atGates(): Promise<number> {
    const { rows } = await this.#pool.query<{ readonly n: number }>(
      "select count(*)::int as n from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%hold(%'",
    );
    return rows[0]?.n ?? 0;
  }

  /** How many uses of these tasks there were at the same time, at most, and how many in all; those that were broken off do not count. */
  async usesOf(tasks: readonly string[]): Promise<{ readonly most: number; readonly all: number }> {
    const { rows } = await this.#pool.query<{ readonly most: number; readonly all: number }>(
      `with seen as (select began, ended from uses where task = any($1))
       select coalesce(max((select count(*) from seen other where other.began <= seen.began and other.ended > seen.began)), 0)::int as most,
         count(*)::int as "all" from seen`,
      [tasks],
    );
    return rows[0] ?? { most: 0, all: 0 };
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
