// Inserts, updates and deletions of the table of orders that go on without end and leave it as large as it was.

import type { Connection } from "mysql2/promise";

/** Rows that a statement changes: a transaction each. */
const STATEMENT = 1_000;

/** What is changed at least; more only by its multiples. */
export const CHANGES_OF_A_TURN = 10 * STATEMENT;

const COPIED = "customer_id, amount, sku, note, updated_at, order_date, is_paid, attrs, score";
const within = (start: number): string => `id >= ${start} and id < ${start + STATEMENT}`;

/**
 * Makes so many changes at each call: of each ten rows six are changed, two go and two come. `rows`: of the table, a multiple of 2,000. What is updated lies in
 * the upper half of its first ids, again and again; the oldest of the others go.
 */
export const createChanger = (connection: Connection, rows: number): ((changes: number) => Promise<void>) => {
  const half = rows / 2;
  const firstNew = 10 * rows;
  let oldest = 1;
  let next = firstNew;
  let updated = 0;
  const removeOldest = async (): Promise<void> => {
    await connection.query(`delete from orders where ${within(oldest)}`);
    oldest = oldest + STATEMENT > half && oldest < half ? firstNew : oldest + STATEMENT;
  };
  const copyOldest = async (): Promise<void> => {
    await connection.query(`insert into orders select id - ${oldest} + ${next}, ${COPIED} from orders where ${within(oldest)}`);
    next += STATEMENT;
  };
  const updateSome = async (): Promise<void> => {
    await connection.query(`update orders set amount = amount + 1, updated_at = now(6) where ${within(half + 1 + updated)}`);
    updated = (updated + STATEMENT) % half;
  };
  return async (changes) => {
    for (let done = 0; done < changes; done += CHANGES_OF_A_TURN) {
      for (let part = 0; part < 2; part += 1) await removeOldest();
      for (let part = 0; part < 2; part += 1) await copyOldest();
      for (let part = 0; part < 6; part += 1) await updateSome();
    }
  };
};
