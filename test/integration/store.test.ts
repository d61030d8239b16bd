// The store on a real PostgreSQL: the shared suite, starters at the same time, and a server that is away.

import { setTimeout } from "node:timers/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { sql } from "drizzle-orm";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { openDatabase } from "../../store/database.ts";
import { openStore, type Store } from "../../store/open-store.ts";
import { freshPostgresDatabase } from "../fixtures/services.ts";
import { SECRET_KEY } from "../store/kit.ts";
import { describeStore } from "../store/suite.ts";
import { describeActions } from "../store/actions-suite.ts";
import { describeTriggers } from "../store/triggers-suite.ts";

const query = async <Row extends pg.QueryResultRow>(url: string, text: string): Promise<readonly Row[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
};

const freshDatabase = async (): Promise<string> => (await freshPostgresDatabase()).url;

const open = (url: string): Promise<Store> => openStore({ url, secretKey: SECRET_KEY });

describeStore("store on PostgreSQL", async () => open(await freshDatabase()));
describeTriggers("triggers on PostgreSQL", async () => open(await freshDatabase()));
describeActions("actions on PostgreSQL", async () => open(await freshDatabase()));

describe("a PostgreSQL store", () => {
  it("is migrated once by starters at the same time, and again opened with what it held", async () => {
    const url = await freshDatabase();
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(url)));
    const [first] = stores as [Store];
    await first.connections.save({ name: "c", kind: "k", config: {}, secretKeys: [] });
    await Promise.all(stores.map((store) => store.close()));
    const [{ count } = { count: "" }] = await query<{ count: string }>(url, "select count(*) from drizzle.__drizzle_migrations");
    const again = await open(url);
    expect(await again.connections.find("c")).toBeDefined();
    await again.close();
    expect(await query(url, "select count(*) from drizzle.__drizzle_migrations")).toEqual([{ count }]);
  });

  it("whose connection breaks between two statements of a transaction fails that alone", async () => {
    const url = await freshDatabase();
    const { db, close } = await openDatabase(url);
    const work = db.transaction(async (tx) => {
      const { rows } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      await query(url, `select pg_terminate_backend(${rows[0]?.pid ?? 0}, 10000)`);
      // Its end reaches this process by another connection.
      await setTimeout(200);
      await tx.execute(sql`select 1`);
    });
    await expect(work).rejects.toThrow();
    expect((await db.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
    await close();
  });

  it("that cannot be reached is STORE_UNAVAILABLE at the start, without the password", async () => {
    const { url: address, password } = await freshPostgresDatabase();
    const url = new URL(address);
    url.port = "1";
    await expect(open(url.href)).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.not.stringContaining(password) as string,
    });
    const wrong = new URL(address);
    wrong.pathname = "/there_is_no_such_database";
    await expect(open(wrong.href)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("that goes away is STORE_UNAVAILABLE, and serves again when it is back", async () => {
    // A relay stands for the network, so that the server itself goes on for the other tests.
    const sockets = new Set<Socket>();
    let cut = false;
    const { host, port, url: address } = await freshPostgresDatabase();
    const relay = createServer((incoming) => {
      if (cut) {
        incoming.destroy();
        return;
      }
      const outgoing = connect(port, host);
      for (const socket of [incoming, outgoing]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
      }
      incoming.pipe(outgoing).pipe(incoming);
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const url = new URL(address);
    url.hostname = "127.0.0.1";
    url.port = String((relay.address() as AddressInfo).port);
    const store = await open(url.href);
    try {
      cut = true;
      for (const socket of sockets) socket.destroy();
      await expect(store.check()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await expect(store.runs.find("x")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      cut = false;
      await expect(store.check()).resolves.toBeUndefined();
    } finally {
      await store.close();
      relay.close();
    }
  });

  it("what a server refuses is no outage, even when its words sound like one", async () => {
    const store = await open(await freshDatabase());
    try {
      const refusal = store.runs.list({ since: "connection terminated by timeout" }, { limit: 1 });
      await expect(refusal).rejects.not.toMatchObject({ code: "STORE_UNAVAILABLE" });
    } finally {
      await store.close();
    }
  });
});
