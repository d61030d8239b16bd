// Changes of a MySQL table that are gone on with on another server: a primary that is killed, and its replica.

import { describe, expect, it } from "vitest";
import { caughtUp, Copy, isMariadb, on, promote, rowsOn, startPair } from "./mysql-failover-kit.ts";
import { numbers } from "./mysql-kit.ts";
import { typesTable } from "./mysql-types.ts";

const [first, second] = await startPair([11, 12]);
const isMysql = !(await isMariadb(first));

describe.skipIf(isMysql)("changes of a MySQL table after a failover", () => {
  it("the primary dies in the midst of a large transaction: nothing is lost or doubled", { timeout: 240_000 }, async () => {
    const { create, inserts } = typesTable("typed");
    await on(first, "use shop", create, "create table shop.orders (id int primary key, v int not null, t text)");
    await on(first, `insert into shop.orders select n, 0, repeat('a', 100) from ${numbers(20_000)}`);
    const orders = new Copy("orders");
    const typed = new Copy("typed");
    await orders.load(first);
    await typed.load(first);
    await typed.load(first);
    expect(orders.changes).toBe(20_000);
    await on(first, "use shop", `insert into shop.orders select 50000 + n, 1, 'before' from ${numbers(2_000)}`, ...inserts);
    await on(
      first,
      "begin",
      `insert into shop.orders select 100000 + n, 1, repeat('b', 100) from ${numbers(20_000)}`,
      "update shop.orders set v = v + 1 where id between 1 and 15000",
      "delete from shop.orders where id between 10001 and 20000",
      "update shop.orders set id = -id where id between 2 and 1001",
      "commit",
    );
    await on(first, "insert into shop.orders values (-2000, 1, 'behind')");
    await caughtUp(first, second);
    orders.changes = 0;
    let seen = 0;
    await orders.load(first, {
      stop: async (changes) => {
        seen = changes;
        if (changes < 30_000) return false;
        await first.halt("SIGKILL");
        return true;
      },
    });
    // The large transaction was read for a good part, and no place lies within it.
    expect(seen).toBeGreaterThanOrEqual(30_000);
    expect(orders.changes).toBe(2_000);
    await promote(second);
    await on(second, "insert into shop.orders values (-3000, 1, 'on the other server')", "delete from shop.orders where id = 1");
    await orders.load(second, { resumes: true });
    // To where the log of the first server ended: a moved key is a row that goes and one that comes.
    expect(orders.changes).toBe(2_000 + 20_000 + 15_000 + 10_000 + 2 * 1_000 + 1);
    await orders.load(second);
    expect(orders.changes).toBe(49_003);
    await typed.load(second);
    expect(orders.all).toEqual(await rowsOn(second, "orders"));
    expect(typed.all.length).toBeGreaterThan(3);
    expect(typed.all).toEqual(await rowsOn(second, "typed"));
    // From here on by this server's own files.
    expect(orders.position).toMatchObject({ server: "12", log: { made: expect.any(Number) as number } });
    await on(second, "insert into shop.orders values (-4000, 1, 'later')");
    await orders.load(second);
    expect(orders.changes).toBe(49_004);
    expect(orders.all).toEqual(await rowsOn(second, "orders"));
  });
});
