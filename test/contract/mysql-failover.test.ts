// Changes of a MySQL table that are gone on with on another server: a primary that is killed, and its replica.

import { describe, expect, it } from "vitest";
import { canReplicate, caughtUp, Copy, on, promote, replicate, rowsOn, type Server, startPair } from "./mysql-failover-kit.ts";
import { numbers } from "./mysql-kit.ts";
import { typesTable } from "./mysql-types.ts";
import { expectCode } from "./sql-roles.ts";

describe.skipIf(!canReplicate)("changes of a MySQL table after a failover", { timeout: 240_000 }, () => {
  it("the primary dies in the midst of a large transaction: nothing is lost or doubled", async () => {
    const [first, second] = await startPair([11, 12]);
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

  it("the first load's rows come from both servers, and the log from the place that the first one had told", async () => {
    const [primary, replica] = await startPair([21, 22]);
    await on(primary, "create table shop.parts (id int primary key, v int not null, t text)");
    await on(primary, `insert into shop.parts select n, 0, repeat('a', 100) from ${numbers(20_000)}`);
    const copy = new Copy("parts");
    await copy.load(primary, {
      stop: async (seen) => {
        if (seen < 6_000) return false;
        // Of rows that were read and of such that were not, in one transaction.
        await on(primary, "update shop.parts set v = v + 1 where id % 3 = 0", "delete from shop.parts where id % 1000 = 7");
        await caughtUp(primary, replica);
        await primary.halt("SIGKILL");
        return true;
      },
    });
    expect(copy.rows.size).toBeGreaterThan(0);
    expect(copy.rows.size).toBeLessThan(20_000);
    await promote(replica);
    await on(replica, "update shop.parts set v = 100 where id = 2", "delete from shop.parts where id = 4");
    await copy.load(replica, { resumes: true });
    expect(copy.all).toEqual(await rowsOn(replica, "parts"));
  });

  it("a replica that is behind is waited for; one that took over without the last transactions never comes that far", async () => {
    const [primary, replica] = await startPair([31, 32]);
    await on(primary, "create table shop.lagging (id int primary key)");
    await caughtUp(primary, replica);
    const copy = new Copy("lagging");
    await on(replica, "stop slave");
    await on(primary, "insert into shop.lagging values (1)");
    await copy.load(primary);
    await on(primary, "insert into shop.lagging values (2)");
    await copy.load(primary);
    // Its rows would lack what lies before the place that the primary has told.
    const begun = new Copy("lagging");
    await begun.begin(primary);
    await expectCode(begun.load(replica, { resumes: true }), "SOURCE_UNAVAILABLE", "server 32", "0-31-");
    await expectCode(copy.load(replica), "SOURCE_UNAVAILABLE", "server 32", "0-31-", "log_slave_updates", "delete the stream's cursor");
    await on(replica, "start slave");
    await caughtUp(primary, replica);
    await copy.load(replica);
    await begun.load(replica, { resumes: true });
    expect(begun.all).toEqual([{ id: 1 }, { id: 2 }]);
    await on(primary, "insert into shop.lagging values (3)");
    await caughtUp(primary, replica);
    await copy.load(replica);
    expect(copy.all).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    // The other one goes on without it, with transactions of its own under the same numbers.
    await on(replica, "stop slave", "reset slave all");
    await on(primary, "insert into shop.lagging values (4)");
    await copy.load(primary);
    await on(replica, "insert into shop.lagging values (5)", "insert into shop.lagging values (6)", "insert into shop.lagging values (7)");
    await expectCode(copy.load(replica), "SOURCE_LOG_LOST", "gone on without", "0-31-", "start the load anew");
    // Where both go on, the first one is as it was.
    await copy.load(primary);
    expect(copy.all).toEqual(await rowsOn(primary, "lagging"));
  });

  it("what the other server has purged is told", async () => {
    const [primary, replica] = await startPair([41, 42]);
    await on(primary, "create table shop.kept (id int primary key)");
    const copy = new Copy("kept");
    await copy.load(primary);
    await on(primary, "insert into shop.kept values (1)");
    await caughtUp(primary, replica);
    await on(replica, "stop slave", "flush binary logs");
    const [{ Log_name: last } = { Log_name: "" }] = (await on(replica, "show binary logs")).toReversed();
    await on(replica, `purge binary logs to '${last}'`);
    await expectCode(copy.load(replica), "SOURCE_LOG_LOST", "purged", "start the load anew");
  });

  it("files that were numbered anew are known by when they were made, and gone on in by GTIDs", async () => {
    const [server] = await startPair([51, 52]);
    await on(server, "create table shop.anew (id int primary key)", "insert into shop.anew values (1)");
    const copy = new Copy("anew");
    await copy.load(server);
    await on(server, "insert into shop.anew values (2)");
    await copy.load(server);
    const before = copy.position as { readonly log: { readonly file: string; readonly gtids: string; readonly made: number } };
    expect(before.log.made).toBeGreaterThan(0);
    await expect.poll(() => Math.floor(Date.now() / 1_000)).toBeGreaterThan(before.log.made);
    const [state] = await on(server, "select @@global.gtid_binlog_state as gtids");
    await on(server, "reset master", `set global gtid_binlog_state = '${state!["gtids"]}'`);
    const rows = Array.from({ length: 40 }, (_, row) => `insert into shop.anew values (${row + 3})`);
    await on(server, ...rows);
    await copy.load(server);
    expect(copy.position).toMatchObject({ log: { file: before.log.file } });
    expect(copy.all).toEqual(await rowsOn(server, "anew"));
    // Without its GTIDs the log is another one.
    await on(server, "reset master", "insert into shop.anew values (1000)");
    await expectCode(copy.load(server), "SOURCE_LOG_LOST", "begun anew", "0-51-");
  });

  it("places of older builds, of the server's number and file alone, are gone on from and have GTIDs from then on", async () => {
    const [server, other] = await startPair([61, 62]);
    await on(server, "create table shop.older (id int primary key)", "insert into shop.older values (1)");
    const copy = new Copy("older");
    await copy.load(server);
    const [status] = await on(server, "show master status");
    const old = { server: "61", log: { file: status!["File"]!, offset: Number(status!["Position"]) } };
    copy.position = old;
    await on(server, "insert into shop.older values (2)", "delete from shop.older where id = 1");
    const [later] = await on(server, "show master status");
    const until = { file: later!["File"]!, offset: Number(later!["Position"]), asOf: 1_000 };
    await caughtUp(server, other);
    await expectCode(copy.load(other), "SOURCE_LOG_LOST", "server 61", "GTIDs", "delete the stream's cursor");
    // A first load that such a build has read the rows for, and then a run of its own.
    copy.position = { ...old, until };
    await copy.load(server, { resumes: true });
    expect(copy.all).toEqual([{ id: 2 }]);
    copy.position = old;
    await copy.load(server);
    expect(copy.all).toEqual([{ id: 2 }]);
    expect(copy.position).toMatchObject({ server: "61", log: { gtids: expect.stringContaining("0-61-") as string } });
    await on(server, "insert into shop.older values (3)");
    await caughtUp(server, other);
    await copy.load(other);
    expect(copy.all).toEqual([{ id: 2 }, { id: 3 }]);
  });

  it("there and back again, with transactions of two domains and files that end in between", async () => {
    const [one, two] = await startPair([71, 72]);
    await on(one, "create table shop.rounds (id int primary key, v int not null)");
    const copy = new Copy("rounds");
    await copy.load(one);
    let changes = 0;
    const change = async (server: Server, round: number): Promise<void> => {
      for (const domain of [0, 5, 0, 5]) {
        await on(
          server,
          `set session gtid_domain_id = ${domain}`,
          `insert into shop.rounds values (${(changes += 1)}, ${round}), (${(changes += 1)}, ${round})`,
          `update shop.rounds set v = v + 100 where id = ${changes}`,
          "flush binary logs",
        );
      }
    };
    const servers = [one, two] as const;
    for (let round = 0; round < 4; round += 1) {
      const [primary, replica] = round % 2 === 0 ? servers : servers.toReversed();
      await change(primary!, round);
      await copy.load(primary!);
      await change(primary!, round);
      await caughtUp(primary!, replica!);
      await promote(replica!);
      await copy.load(replica!);
      expect(copy.all).toEqual(await rowsOn(replica!, "rounds"));
      // What it has logged itself is where it goes on.
      await on(primary!, "set global gtid_slave_pos = @@global.gtid_current_pos");
      await replicate(replica!, primary!);
      await caughtUp(replica!, primary!);
    }
    // Each row came in and was changed once, each in a transaction that came once.
    expect(copy.changes).toBe(changes + changes / 2);
  });
});
