// What goes wrong between MySQL and its reader: each gives one clear error with a code, and nothing hangs.

import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { startMysql } from "../../bin/services/mysql.ts";
import { mysql } from "../../connectors/mysql/spec.ts";
import { openConnector, testContext } from "./kit.ts";
import { address, folder, load, make, numbers, parseOptions, run } from "./mysql-kit.ts";
import { batchesOf, expectCode, request } from "./sql-roles.ts";

const bytesOf = (value: number): Buffer => Buffer.alloc(value, "0123456789abcdef");

describe("faults of MySQL", () => {
  it("a wrong password, a missing database and a right that is missing", async () => {
    await using wrong = await make(testContext(folder), { password: "wrong" });
    await expectCode(wrong.check(), "SOURCE_AUTH", address.host, "password");
    await using nowhere = await make(testContext(folder), { database: "there_is_none" });
    await expectCode(nowhere.check(), "CONNECTION_INVALID", "there_is_none");
    const user = `u${process.pid}`;
    await run(
      `create table secret (id int primary key)`,
      `create user '${user}'@'%' identified by 'pw'`,
      `create table open_to_all (id int primary key)`,
    );
    await run(`grant select on \`${address.database}\`.open_to_all to '${user}'@'%'`);
    await using limited = await make(testContext(folder), { user, password: "pw" });
    await limited.check();
    await expectCode(load(limited, { stream: "secret" }), "SOURCE_AUTH", "secret", "grant");
    await run(`drop user '${user}'@'%'`);
  });

  it("tables, columns and queries that are not there", async () => {
    await run("create table there (id int primary key, v json)");
    await using connector = await make();
    await expectCode(load(connector, { stream: "not_there" }), "SOURCE_STREAM_NOT_FOUND", "not_there", "discover");
    await expectCode(load(connector, { stream: "not_there", cursor: "id" }), "SOURCE_STREAM_NOT_FOUND", "not_there");
    await expectCode(load(connector, { stream: "a.b.c" }), "SOURCE_STREAM_NOT_FOUND", "a.b.c");
    await expectCode(load(connector, { stream: "there", options: { columns: ["gone"] } }), "SOURCE_OPTIONS_INVALID", "gone");
    await expectCode(load(connector, { stream: "there", options: { where: "gone = 1" } }), "SOURCE_OPTIONS_INVALID", "gone", "where");
    await expectCode(load(connector, { stream: "there", options: { where: "id = 1 or" } }), "SOURCE_QUERY_FAILED", "syntax");
    await expectCode(load(connector, { stream: "q", query: "select 1", options: { where: "id = 1" } }), "SOURCE_OPTIONS_INVALID", "query");
    await expectCode(load(connector, { stream: "there", options: { changes: true, where: "id = 1" } }), "SOURCE_OPTIONS_INVALID", "log");
    await expectCode(load(connector, { stream: "there", cursor: "gone" }), "CURSOR_INVALID", "gone", "id, v");
    await expectCode(load(connector, { stream: "there", cursor: "v" }), "CURSOR_INVALID", "JSON");
    await expectCode(load(connector, { stream: "q", query: "select 1 +" }), "SOURCE_QUERY_FAILED", "syntax");
    await expectCode(load(connector, { stream: "q", query: "set @a = 1" }), "SOURCE_QUERY_FAILED", "rows");
    await expectCode(load(connector, { stream: "q", query: "select 1; drop table there" }), "SOURCE_QUERY_FAILED");
    await expectCode(load(connector, { stream: "q", query: "select gone from there" }), "SOURCE_QUERY_FAILED", "gone");
    expect(await load(connector, { stream: "there" })).toHaveLength(1);
  });

  it("an error in the midst of the rows", async () => {
    await run("create table cliff (id int primary key)", `insert into cliff select n from ${numbers(200_000)}`);
    await using connector = await make();
    // The subquery has two rows for one id only.
    const query = "select id, (select 1 union all select 2 from (select 1) x where cliff.id = 190000) as v from cliff order by id";
    const read = connector.source!.read(request({ stream: "q", query, options: parseOptions({}) }));
    const seen: number[] = [];
    const reading = (async () => {
      for await (const batch of read) seen.push(batch.rows);
    })();
    await expectCode(reading, "SOURCE_QUERY_FAILED", "more than 1 row");
    expect(seen.length).toBe(1);
  });

  it("values of 17 MB and of exactly the greatest packet", async () => {
    const sizes = [17 * 1_024 * 1_024, 16_777_215 - 20, 16_777_215, 1];
    await run("create table large (id int primary key, t longtext character set latin1, b longblob)");
    for (const [id, size] of sizes.entries()) {
      await run(
        `insert into large values (${id}, repeat('0123456789abcdef', ${Math.ceil(size / 16)}), null)`,
        `update large set t = left(t, ${size}), b = t where id = ${id}`,
      );
    }
    await using connector = await make();
    let row = 0;
    for await (const batch of connector.source!.read(request({ stream: "large", options: parseOptions({}) }))) {
      for (let inBatch = 0; inBatch < batch.rows; inBatch += 1, row += 1) {
        for (const vector of batch.columns.slice(1)) {
          if (vector.layout !== "text") throw new Error("not a text");
          const value = vector.data.subarray(vector.offsets[inBatch], vector.offsets[inBatch + 1]);
          expect(value.length).toBe(sizes[row]);
          expect(bytesOf(sizes[row]!).equals(value)).toBe(true);
        }
      }
    }
    expect(row).toBe(sizes.length);
  });

  it("a host that never answers is given up in time", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { readonly port: number };
    try {
      await using connector = await make(testContext(folder), { port, connect_timeout: 1 });
      await expectCode(connector.check(), "SOURCE_UNAVAILABLE", String(port));
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it("TLS that the server does not have", async () => {
    const [row] = await run("show variables like 'have_ssl'");
    await using connector = await make(testContext(folder), { tls: "require" });
    if (row?.["Value"] === "DISABLED") await expectCode(connector.check(), "CONNECTION_INVALID", "tls");
    else await connector.check();
  });

  it("an abort ends a reading at once, and the server's query with it", async () => {
    const abort = new AbortController();
    await using connector = await make(testContext(folder, abort.signal));
    const marker = `marker${process.pid}`;
    const query = `select /* ${marker} */ sleep(600) as s`;
    const reading = batchesOf(connector.source!.read(request({ stream: "q", query, options: parseOptions({}) })));
    const running = async (): Promise<number> =>
      (await run(`select id from information_schema.processlist where info like '%${marker}%' and info not like '%processlist%'`)).length;
    await expect.poll(running, { timeout: 60_000 }).toBe(1);
    const reason = new Error("stop");
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect.poll(running, { timeout: 60_000 }).toBe(0);
  });

  it("a server that is killed half-way is SOURCE_UNAVAILABLE, and the rest comes when it is back", { timeout: 240_000 }, async () => {
    const dir = path.join(folder, "server");
    mkdirSync(dir, { recursive: true });
    const server = await startMysql({ dir, say: () => undefined, binlog: false, env: { ...process.env, DOWNBEAT_TEST_MYSQL_URL: "" } });
    try {
      const { host, port, user, password } = server.address;
      const connect = () => openConnector(mysql, { host, port, user, password, database: "mysql" }, testContext(folder));
      // 400 MB: more than all buffers between server and reader hold.
      const query = `select n as id, repeat('x', 1000) as filler from ${numbers(400_000)} order by n`;
      const read = async (position: readonly string[] | null, afterFirst: () => Promise<void>) => {
        await using connector = await connect();
        let rows = 0;
        let last = position;
        let error: unknown;
        try {
          const asked = {
            stream: "q",
            query,
            key: ["id"],
            options: parseOptions({}),
            position: position === null ? null : { values: position },
          };
          for await (const batch of connector.source!.read(request(asked))) {
            rows += batch.rows;
            if (last === position) await afterFirst();
            last = (batch.position as { readonly values: readonly string[] } | null)?.values ?? last;
          }
        } catch (caught) {
          error = caught;
        }
        return { rows, last, error };
      };
      const first = await read(null, () => server.halt("SIGKILL"));
      await expectCode(Promise.reject(first.error as Error), "SOURCE_UNAVAILABLE", String(port));
      await using away = await connect();
      await expectCode(away.check(), "SOURCE_UNAVAILABLE", String(port));
      await server.resume();
      const second = await read(first.last, () => Promise.resolve());
      expect(second.error).toBeUndefined();
      expect(first.rows).toBe(Number(first.last?.[0]));
      expect(first.rows + second.rows).toBe(400_000);
    } finally {
      await server.stop();
    }
  });
});
