// Snowflake: what the contract of destinations does not ask. Logging in is seen against a server of the test's own that answers as Snowflake's do.

import { generateKeyPairSync, verify } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { inspect } from "node:util";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { fromRows } from "../../connectors/lib/rows.ts";
import { transactionName } from "../../connectors/snowflake/load-session.ts";
import { snowflake } from "../../connectors/snowflake/spec.ts";
import { freshSnowflakeDatabase } from "../fixtures/services.ts";
import { snowflakeQueries } from "../fixtures/snowflake.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, mergeMixed, target, write } from "./load-kit.ts";
import { batchesOf, expectBinds, expectCode, expectInOrder, numbersUpTo, rowsOf } from "./sql-roles.ts";

const folder = testFolder("snowflake-faults");
const config = freshSnowflakeDatabase();
const make = (given: Record<string, unknown> = {}, signal?: AbortSignal): ReturnType<typeof openConnector> =>
  openConnector(snowflake, { ...config, ...given }, testContext(folder, signal));
const queries = await snowflakeQueries(config.endpoint, config.database);
afterAll(() => queries[Symbol.asyncDispose]());

const ID = column("id", { kind: "int64" });
const rows = (...ids: readonly number[]) =>
  fromRows(
    [ID],
    ids.map((id) => ({ id })),
    { position: ids.at(-1)! },
  );

describe("loads into Snowflake", () => {
  it("a transaction that somebody else ends leaves nothing, also not what is asked after it", async () => {
    await using connector = await make();
    const into = target({ key: "ended", table: "ended", incremental: true });
    {
      await using load = await connector.destination!.openLoad(into);
      await load.begin(null);
      await load.write(rows(1));
      await load.commit(1);
      await load.write(rows(2));
      // The rows are in the transaction once something else is asked.
      await load.seen(["x"]);
      // Its own alone: others use the same server.
      const name = transactionName(config.database, into.key);
      const open = (await queries.query("show transactions"))!.filter((transaction) => transaction["name"] === name);
      expect(open).toHaveLength(1);
      await queries.query(`select system$abort_transaction(${String(open[0]!["id"])})`);
      await load.write(rows(3));
      await expectCode(load.commit(3), "DESTINATION_UNAVAILABLE", "ended", "try again");
    }
    expect(await queries.query("select id from ended")).toEqual([{ id: 1 }]);
    await using again = await connector.destination!.openLoad(into);
    expect(again.resume).toMatchObject({ done: false, position: 1, rows: 1 });
    expect(await queries.query(`select "seq" from "_downbeat"."receipts" where "key" = 'ended'`)).toEqual([{ seq: 1 }]);
  });

  it("two loads that make the same table at once both go in", async () => {
    await using connector = await make();
    const loads = Array.from({ length: 4 }, async (_, id) => {
      await using load = await connector.destination!.openLoad(target({ key: `at once ${id}`, table: "new_schema.at_once" }));
      await write(load, [ID, column(`c${id}`, { kind: "string" })], [{ id, [`c${id}`]: "x" }]);
    });
    const failed = (await Promise.allSettled(loads)).flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
    // The emulator refuses where Snowflake would wait: who is refused is tried again.
    for (const reason of failed) expect(reason).toMatchObject({ code: "DESTINATION_UNAVAILABLE" });
    const ids = (await queries.query("select id from new_schema.at_once order by id"))!.map(({ id }) => id);
    expect(ids).toHaveLength(4 - failed.length);
  });

  it("a merge takes batches with other columns in one chunk, and deletions after rows", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "mixed", table: "mixed", mode: "merge", keyColumns: ["id"] }));
    await mergeMixed(load);
    expect(await queries.query("select id, name, more::varchar as more from mixed order by id")).toEqual([
      { id: 2, name: "second", more: '{"a":[1]}' },
      { id: 3, name: "three", more: null },
    ]);
  });

  it("names are upper case whoever asks, and odd ones are kept", async () => {
    // The emulator cannot do names with quotation marks.
    const names = ["customerId", "grün Ω 表", "select", "a.b", "x;drop table y", "$1", ":p", "%s", "\\"];
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "names", table: '"Odd.table"' }));
    await write(
      load,
      [ID, ...names.map((name) => column(name, { kind: "string" }))],
      [{ id: 1, ...Object.fromEntries(names.map((name) => [name, `value of ${name}`])) }],
    );
    const [row] = (await queries.query(`select * from "ODD.TABLE"`))!;
    expect(row).toEqual({ id: 1, ...Object.fromEntries(names.map((name) => [name.toLowerCase(), `value of ${name}`])) });
    await expectCode(connector.destination!.openLoad(target({ key: "long", table: "x".repeat(256) })), "DESTINATION_TABLE_INVALID", "255");
    await using doubled = await connector.destination!.openLoad(target({ key: "doubled", table: "doubled" }));
    await expectCode(
      write(doubled, [ID, column("ID", { kind: "string" })], [{ id: 1, ID: "x" }]),
      "DESTINATION_TABLE_INVALID",
      "Snowflake",
    );
  });

  it("a time that is none of a day is refused", async () => {
    await using connector = await make();
    await using times = await connector.destination!.openLoad(target({ key: "times", table: "times" }));
    await expectCode(write(times, [column("t", { kind: "time" })], [{ t: "30:00:00" }]), "DESTINATION_DATA_REFUSED", '"t"');
  });
});

describe("Snowflake as a SQL warehouse", () => {
  it("runs several statements in one transaction, and tells the rows of the last one", async () => {
    await using connector = await make();
    await connector.sql!.execute("create table one (i number(10,0))");
    const { rowsAffected } = await connector.sql!.execute(
      `insert into one values (1), (2), (3); -- a comment; with a semicolon
       delete from one where i > :least; // and another one; here`,
      { least: 1 },
    );
    expect(rowsAffected).toBe(2);
    await expectCode(connector.sql!.execute("insert into one values (9); select * from no_such_table"), "SQL_FAILED", "NO_SUCH_TABLE");
    expect(await rowsOf(connector.sql!.query("select i from one"))).toEqual([{ i: 1 }]);
  });

  it("binds parameters and nothing else", async () => {
    await using connector = await make();
    await expectBinds(connector, "42");
  });

  it("gives values of every type exactly, also those of an empty result", async () => {
    await using connector = await make();
    await connector.sql!.execute(
      `create table kinds (n number(18,0), w number(38,4), f float, b boolean, d date, t time, ts timestamp_ntz, tz timestamp_tz, v variant, y binary, s varchar)`,
    );
    await connector.sql!.execute(
      `insert into kinds select 123456789012345678, 1234567890123456789012345678901234.5678, 0.1, true, '2024-02-29', '23:59:59.123456', '2026-01-01 00:00:00.000001', '2026-07-01 12:00:00.5+02:00', parse_json('{"a": [1, null]}'), to_binary('00FF27', 'HEX'), 'Größe 🎼'`,
    );
    const query = "select n, w, f, b, d, t, ts, tz, v, y, s from kinds";
    const [row] = await rowsOf(connector.sql!.query(query));
    expect(row).toEqual({
      n: "123456789012345678",
      w: "1234567890123456789012345678901234.5678",
      f: 0.1,
      b: true,
      d: "2024-02-29",
      t: "23:59:59.123456",
      ts: "2026-01-01T00:00:00.000001",
      tz: "2026-07-01T10:00:00.500000Z",
      v: { a: [1, null] },
      y: "AP8n",
      s: "Größe 🎼",
    });
    const [empty] = await batchesOf(connector.sql!.query(`${query} where 1 = 0`));
    expect(empty!.rows).toBe(0);
    expect(empty!.schema.columns.map(({ type }) => type.kind)).toEqual(
      "int64 decimal float64 bool date time timestamp timestamptz json binary string".split(" "),
    );
  });

  it("streams a large result in order, and ends with its reader", async () => {
    await using connector = await make();
    await connector.sql!.execute("create table numbers (i number(18,0))");
    await using load = await connector.destination!.openLoad(target({ key: "numbers", table: "numbers" }));
    await write(load, [column("i", { kind: "int64" })], numbersUpTo(25_000));
    await expectInOrder(connector, "numbers", 25_000);
    expect(connector.sql!.quote("raw.orders")).toBe('"raw"."orders"');
  });
});

interface Login {
  readonly LOGIN_NAME?: string;
  readonly PASSWORD?: string;
  readonly AUTHENTICATOR?: string;
  readonly TOKEN?: string;
}

/** Answers every login with a refusal of this number, as Snowflake writes it, and remembers what was sent. */
const refusing = async (number: string): Promise<{ readonly endpoint: string; readonly logins: Login[] } & AsyncDisposable> => {
  const logins: Login[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      if (request.url?.startsWith("/session/v1/login-request") === true) {
        const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
        logins.push((JSON.parse(String(text)) as { data: Login }).data);
      }
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({ data: { nextAction: "RETRY_LOGIN" }, code: number, message: `Refused with ${number}.`, success: false }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    logins,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
};

describe("logging in to Snowflake", () => {
  const SECRET = "s3cret-in-no-message";

  it("by password: a refusal is DESTINATION_AUTH, and the password is in no message and no file", async () => {
    await using server = await refusing("390100");
    await using connector = await make({ endpoint: server.endpoint, password: SECRET });
    const error: unknown = await connector.check().catch((reason: unknown) => reason);
    await expectCode(Promise.reject(error as Error), "DESTINATION_AUTH", "password");
    expect(inspect(error, { depth: 10 })).not.toContain(SECRET);
    expect(server.logins[0]).toMatchObject({ LOGIN_NAME: "downbeat", PASSWORD: SECRET });
    expect(existsSync(path.resolve("snowflake.log"))).toBe(false);
  });

  it("by key pair: the driver signs a token with the key", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const key = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: SECRET });
    await using server = await refusing("390144");
    const given = { endpoint: server.endpoint, password: undefined, private_key: String(key), private_key_passphrase: SECRET };
    await using connector = await make(given);
    await expectCode(connector.check(), "DESTINATION_AUTH", "key");
    const [login] = server.logins;
    expect(login?.AUTHENTICATOR).toBe("SNOWFLAKE_JWT");
    const [header, payload, signature] = (login?.TOKEN ?? "").split(".");
    expect(verify("sha256", Buffer.from(`${header}.${payload}`), publicKey, Buffer.from(signature ?? "", "base64url"))).toBe(true);
    expect(JSON.parse(String(Buffer.from(payload ?? "", "base64url")))).toMatchObject({ sub: "TEST.DOWNBEAT" });
  });

  it("by OAuth: the token is sent, and an expired one is DESTINATION_AUTH", async () => {
    await using server = await refusing("390318");
    await using connector = await make({ endpoint: server.endpoint, password: undefined, oauth_token: SECRET });
    const error: unknown = await connector.check().catch((reason: unknown) => reason);
    await expectCode(Promise.reject(error as Error), "DESTINATION_AUTH");
    expect(inspect(error, { depth: 10 })).not.toContain(SECRET);
    expect(server.logins[0]).toMatchObject({ AUTHENTICATOR: "OAUTH", TOKEN: SECRET });
  });

  it("an account that does not answer is given up, and a signal ends waiting", async () => {
    await using closed = await make({ endpoint: "http://127.0.0.1:1", connect_timeout: 2 });
    await expectCode(closed.check(), "DESTINATION_UNAVAILABLE", "endpoint");
    const stop = new AbortController();
    const reason = new Error("enough");
    await using connector = await make({}, stop.signal);
    await using load = await connector.destination!.openLoad(target({ key: "stopped", table: "stopped" }));
    await load.begin(null);
    stop.abort(reason);
    await expect(load.write(rows(1))).rejects.toBe(reason);
  });

  it("wants one way in", () => {
    const way = (given: object) => snowflake.config.safeParse({ account: "a", user: "u", database: "d", ...given });
    expect(way({}).error?.issues[0]?.message).toContain("one of password");
    expect(way({ password: "x", oauth_token: "y" }).success).toBe(false);
    expect(way({ password: "x", private_key_passphrase: "y" }).error?.issues[0]?.path).toEqual(["private_key_passphrase"]);
    expect(way({ private_key: "x", private_key_passphrase: "y" }).success).toBe(true);
  });
});
