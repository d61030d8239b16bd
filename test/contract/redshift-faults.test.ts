// Redshift: what the contract of destinations does not ask.

import { afterAll, describe, expect, it } from "vitest";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";
import type { LoadTarget } from "../../connectors/connector.ts";
import { fromRows } from "../../connectors/lib/rows.ts";
import { redshift } from "../../connectors/redshift/spec.ts";
import { freshRedshiftDatabase } from "../fixtures/redshift.ts";
import { inLowerCase } from "../fixtures/redshift-words.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, mergeMixed, target, write } from "./load-kit.ts";
import { batchesOf, expectBinds, expectCode, expectInOrder, numbersUpTo, rowsOf } from "./sql-roles.ts";

const folder = testFolder("redshift-faults");
const database = await freshRedshiftDatabase();
const { query, config } = database;
afterAll(() => database[Symbol.asyncDispose]());
const make = (given: Record<string, unknown> = {}, signal?: AbortSignal): ReturnType<typeof openConnector> =>
  openConnector(redshift, { ...config, ...given }, testContext(folder, signal));

const ID = column("id", { kind: "int64" });
const TEXT = column("v", { kind: "string" });
const rows = (...ids: readonly number[]) =>
  fromRows(
    [ID],
    ids.map((id) => ({ id })),
    { position: ids.at(-1)! },
  );

/** Keys of the files that wait in the staging place. */
const staged = async (): Promise<readonly string[]> => {
  const { endpoint, region, access_key_id: accessKeyId, secret_access_key: secretAccessKey, staging } = config as Record<string, string>;
  const client = new S3Client({
    endpoint: endpoint!,
    region: region!,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! },
  });
  const [, Bucket, Prefix] = /^s3:\/\/([^/]+)\/(.*)$/.exec(staging!) ?? [];
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${Prefix}/downbeat` }));
  client.destroy();
  return Contents.map(({ Key }) => Key ?? "");
};

const loadOne = async (given: Partial<LoadTarget>, columns: Parameters<typeof write>[1], row: Record<string, unknown>): Promise<void> => {
  await using connector = await make();
  await using load = await connector.destination!.openLoad(target(given));
  await write(load, columns, [row] as Parameters<typeof write>[2]);
};

describe("loads into Redshift", () => {
  it("hold no lock while rows come, and the files are gone when they have gone in", async () => {
    await using connector = await make();
    {
      await using slow = await connector.destination!.openLoad(target({ key: "slow", table: "slow" }));
      await slow.begin(null);
      await slow.write(rows(1));
      await slow.commit(1);
      await slow.write(rows(2));
      await slow.seen(["x"]);
      // Another one begins, writes and ends meanwhile.
      await loadOne({ key: "quick", table: "slow" }, [ID], { id: 7 });
      expect(await query("select id from slow order by id")).toEqual([{ id: "1" }, { id: "7" }]);
      await slow.commit(null);
      await slow.finish();
    }
    expect(await query("select id from slow order by id")).toEqual([{ id: "1" }, { id: "2" }, { id: "7" }]);
    expect(await staged()).toEqual([]);
  });

  it("commits come one after the other: whoever comes second waits, and is not refused", async () => {
    const { user, password, database: name } = config as Record<string, string>;
    const holder = new pg.Client({ host: "127.0.0.1", port: Number(config["port"]), user: user!, password: password!, database: name! });
    await loadOne({ key: "first", table: "waits" }, [ID], { id: 1 });
    await holder.connect();
    await holder.query(`begin; lock table "_downbeat"."write_lock"`);
    const second = loadOne({ key: "second", table: "waits" }, [ID], { id: 2 });
    const blocked = `select 1 as one from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(async () => (await query(blocked)).length, { timeout: 60_000 }).toBe(1);
    await holder.query("rollback");
    await second;
    await holder.end();
    expect(await query("select id from waits order by id")).toEqual([{ id: "1" }, { id: "2" }]);
  });

  it("an attempt that was overtaken is fenced off, and leaves no file", async () => {
    await using connector = await make();
    const into = target({ key: "overtaken", table: "overtaken" });
    await using first = await connector.destination!.openLoad(into);
    await first.begin(null);
    await first.write(rows(1));
    {
      await using second = await connector.destination!.openLoad(into);
      await second.write(rows(1, 2));
      await second.commit(2);
    }
    await expectCode(first.commit(1), "LOAD_FENCED");
    expect(await query("select id from overtaken order by id")).toEqual([{ id: "1" }, { id: "2" }]);
  });

  it("a conflict with another writer is tried again, and not taken for a lost attempt", async () => {
    await using connector = await make();
    const into = target({ key: "conflict", table: "conflict" });
    {
      await using load = await connector.destination!.openLoad(into);
      await load.begin(null);
      await load.write(rows(1));
      await query(
        `create function conflict() returns trigger language plpgsql as $$ begin raise exception '1023' using errcode = '40001'; end $$;
         create trigger conflict before update on _downbeat.loads for each row when (new."key" = 'conflict') execute function conflict()`,
      );
      await expectCode(load.commit(1), "DESTINATION_UNAVAILABLE", "another transaction", "try again");
    }
    await query("drop trigger conflict on _downbeat.loads");
    await using again = await connector.destination!.openLoad(into);
    expect(again.resume).toMatchObject({ done: false, rows: 0 });
    await again.write(rows(1));
    await again.commit(null);
    await again.finish();
    expect(await query("select id from conflict")).toEqual([{ id: "1" }]);
  });

  it("many loads that make the same table at once all go in", async () => {
    await Promise.all(
      Array.from({ length: 6 }, (_, id) =>
        loadOne({ key: `at once ${id}`, table: "new_schema.at_once" }, [ID, column(`c${id}`, { kind: "string" })], { id, [`c${id}`]: "x" }),
      ),
    );
    expect(await query("select count(*) as n, count(c5) as one from new_schema.at_once")).toEqual([{ n: "6", one: "1" }]);
  });

  it("a merge takes batches with other columns in one chunk, and deletions after rows", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "mixed", table: "mixed", mode: "merge", keyColumns: ["id"] }));
    await mergeMixed(load);
    expect(await query("select id, name, more from mixed order by id")).toEqual([
      { id: "2", name: "second", more: '{"a": [1]}' },
      { id: "3", name: "three", more: null },
    ]);
  });

  it("values go into text columns in their text form, in every mode", async () => {
    await query("create table texts (id bigint, b varchar, j varchar, d varchar, n varchar)");
    const columns = [
      ID,
      column("b", { kind: "bool" }),
      column("j", { kind: "json" }),
      column("d", { kind: "date" }),
      column("n", { kind: "int32" }),
    ];
    const row = { b: true, j: '{"a": 1}', d: "2024-02-29", n: 7 };
    const expected = { b: "true", j: '{"a": 1}', d: "2024-02-29", n: "7" };
    await loadOne({ key: "texts", table: "texts" }, columns, { id: 1, ...row });
    await loadOne({ key: "texts merged", table: "texts", mode: "merge", keyColumns: ["id"] }, columns, { id: 2, ...row, b: false });
    expect(await query("select * from texts order by id")).toEqual([
      { id: "1", ...expected },
      { id: "2", ...expected, b: "false" },
    ]);
    await loadOne({ key: "texts replaced", table: "texts", mode: "replace" }, columns, { id: 3, ...row });
    expect(await query("select * from texts")).toEqual([{ id: "3", ...expected }]);
  });

  it("what COPY refuses is told with line, column and reason", async () => {
    await query("create table short (v varchar(3))");
    await expectCode(
      loadOne({ key: "short", table: "short" }, [TEXT], { v: "abcd" }),
      "DESTINATION_DATA_REFUSED",
      'column "v"',
      "line 1",
      "too long",
    );
    expect(await query("select v from short")).toEqual([]);
  });

  it("what Redshift cannot hold is refused by name, and nothing is cut", async () => {
    const refused = (type: Parameters<typeof column>[1], v: unknown, ...words: readonly string[]) =>
      expectCode(
        loadOne({ key: "refused", table: `refused_${type.kind}`, origin: words[0]! }, [column("v", type)], { v }),
        "DESTINATION_DATA_REFUSED",
        '"v"',
        ...words,
      );
    await refused({ kind: "string" }, "ä".repeat(32_768), "65536 bytes");
    await refused({ kind: "string" }, "a\0b", "NUL");
    await refused({ kind: "binary" }, Buffer.alloc(1_024_001), "1024001 bytes");
    await refused({ kind: "date" }, "+012345-06-07", "years");
    await refused({ kind: "time" }, "30:00:00", "outside of a day");
    await loadOne({ key: "longest", table: "longest" }, [TEXT], { v: "x".repeat(65_535) });
    expect(await query("select length(v) as n from longest")).toEqual([{ n: "65535" }]);
  });

  it("texts are what they were: quotes, lines, commas, backslashes, what looks like NULL", async () => {
    const texts = [
      "",
      " ",
      '"',
      '""',
      ",",
      "\\",
      "\\N",
      "NULL",
      "null",
      "a\nb",
      "\r\n",
      "a\r",
      '","',
      "'",
      "@NULL@",
      "Größe 表 🎼\t",
      "\u0001",
    ];
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "odd", table: "odd" }));
    await write(load, [ID, TEXT], [...texts.map((v, id) => ({ id, v })), { id: 99, v: null }]);
    expect((await query("select v from odd order by id")).map(({ v }) => v)).toEqual([...texts, null]);
  });

  it("numbers of 19 digits, which Redshift keeps in 64 bits, get a column of 20", async () => {
    const D19 = column("v", { kind: "decimal", precision: 19, scale: 0 });
    await loadOne({ key: "d19", table: "d19" }, [D19], { v: "9999999999999999999" });
    await loadOne({ key: "d19 again", table: "d19" }, [D19], { v: "-9999999999999999999" });
    expect(
      await query(
        "select v, (select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'd19'::regclass and attname = 'v') as type from d19 order by v",
      ),
    ).toEqual([
      { v: "-9999999999999999999", type: "numeric(20,0)" },
      { v: "9999999999999999999", type: "numeric(20,0)" },
    ]);
    await query("create table own19 (v numeric(19,0))");
    const own = { key: "own19", table: "own19" };
    await expectCode(loadOne({ ...own, schema: "freeze" }, [D19], { v: "1" }), "DESTINATION_SCHEMA_MISMATCH", "numeric(19,0)");
    await loadOne({ ...own, origin: "again" }, [D19], { v: "9999999999999999999" });
    expect(await query("select v from own19")).toEqual([{ v: "9999999999999999999" }]);
  });

  it("a column is added and told once; a type that holds not both is refused", async () => {
    const changes = async (origin: string, columns: Parameters<typeof write>[1], row: Record<string, unknown>): Promise<unknown> => {
      await using connector = await make();
      await using load = await connector.destination!.openLoad(target({ key: "told", origin, table: "told" }));
      await write(load, columns, [row] as Parameters<typeof write>[2]);
      return await load.schemaChanges!();
    };
    expect(await changes("one", [ID], { id: 1 })).toEqual([]);
    expect(await changes("two", [ID, TEXT], { id: 2, v: "x" })).toEqual([{ column: "v", change: "added", before: null, after: "string" }]);
    expect(await changes("three", [ID, TEXT], { id: 3, v: "y" })).toEqual([]);
    await expectCode(
      changes("four", [column("id", { kind: "date" })], { id: "2026-01-01" }),
      "DESTINATION_SCHEMA_MISMATCH",
      '"id"',
      "bigint",
    );
  });

  it("names are lower case whoever asks, and odd ones are kept", async () => {
    const names = ["customerId", "grün Ω 表", "select", "a.b", 'say "hi"', "x;drop table y", "$1", ":p", "%s", "\\", "it's"];
    await loadOne({ key: "names", table: '"Odd "".table"' }, [ID, ...names.map((name) => column(name, { kind: "string" }))], {
      id: 1,
      ...Object.fromEntries(names.map((name) => [name, `value of ${name}`])),
    });
    expect(await query(`select * from "odd "".table"`)).toEqual([
      {
        id: "1",
        ...Object.fromEntries(names.map((name) => [inLowerCase(name), `value of ${name}`])),
      },
    ]);
    await expectCode(loadOne({ key: "long", table: "ä".repeat(64) }, [ID], { id: 1 }), "DESTINATION_TABLE_INVALID", "127", "128");
    await expectCode(
      loadOne({ key: "doubled", table: "doubled" }, [ID, column("ID", { kind: "string" })], { id: 1, ID: "x" }),
      "DESTINATION_TABLE_INVALID",
      "Redshift",
    );
  });

  it("a dead letter longer than a column is cut between two characters", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "letter", table: "letter" }));
    await load.begin(null);
    const reject = { where: "line 1", code: "SOURCE_DATA_INVALID", reason: "bad", raw: `x${"ä".repeat(40_000)}` } as const;
    await load.write(fromRows([ID], [{ id: 1 }], { position: null, rejects: [reject] }));
    await load.commit(null);
    await load.finish();
    expect(await query(`select octet_length(raw) as n, right(raw, 1) as last from _downbeat.dead_letters where "key" = 'letter'`)).toEqual([
      { n: "65535", last: "ä" },
    ]);
  });
});

describe("Redshift as a SQL warehouse", () => {
  it("runs several statements in one transaction, and tells the rows of the last one", async () => {
    await using connector = await make();
    await connector.sql!.execute("create table one (i integer)");
    const { rowsAffected } = await connector.sql!.execute(
      `insert into one values (1), (2), (3); -- a comment; with a semicolon
       delete from one where i > :least`,
      { least: 1 },
    );
    expect(rowsAffected).toBe(2);
    await expectCode(connector.sql!.execute("insert into one values (9); select * from no_such_table"), "SQL_FAILED", "no_such_table");
    expect(await rowsOf(connector.sql!.query("select i from one"))).toEqual([{ i: 1 }]);
  });

  it("binds parameters and nothing else", async () => {
    await using connector = await make();
    await expectBinds(connector, 42);
  });

  it("gives values of every type exactly, also those of an empty result", async () => {
    await using connector = await make();
    await connector.sql!.execute(
      `create table kinds (n bigint, w numeric(38,4), f double precision, g real, b boolean, d date, t time, ts timestamp, tz timestamptz, v super, y varbyte(100), s varchar(100))`,
    );
    await connector.sql!.execute(
      `insert into kinds values (1234567890123456789, 1234567890123456789012345678901234.5678, 0.1, 0.5, true, '2024-02-29', '23:59:59.123456', '2026-01-01 00:00:00.000001', '2026-07-01 12:00:00.5+02', '{"a": [1, null]}', '00FF27', 'Größe 🎼')`,
    );
    const sql = "select n, w, f, g, b, d, t, ts, tz, v, y, s from kinds";
    const [row] = await rowsOf(connector.sql!.query(sql));
    expect(row).toEqual({
      n: "1234567890123456789",
      w: "1234567890123456789012345678901234.5678",
      f: 0.1,
      g: 0.5,
      b: true,
      d: "2024-02-29",
      t: "23:59:59.123456",
      ts: "2026-01-01T00:00:00.000001",
      tz: "2026-07-01T10:00:00.500000Z",
      v: { a: [1, null] },
      y: "AP8n",
      s: "Größe 🎼",
    });
    const [empty] = await batchesOf(connector.sql!.query(`${sql} where 1 = 0`));
    expect(empty!.rows).toBe(0);
    expect(empty!.schema.columns.map(({ type }) => type.kind)).toEqual(
      "int64 decimal float64 float32 bool date time timestamp timestamptz json binary string".split(" "),
    );
  });

  it("streams a large result in order, and ends with its reader", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "numbers", table: "numbers" }));
    await write(load, [column("i", { kind: "int64" })], numbersUpTo(25_000));
    await expectInOrder(connector, "numbers", 25_000);
  });
});

describe("a connection to Redshift", () => {
  it("is checked to the end: a row goes to S3 and through COPY", async () => {
    await using connector = await make();
    await connector.check();
    expect(await staged()).toEqual([]);
    await using wrong = await make({ secret_access_key: "no" });
    await expectCode(wrong.check(), "DESTINATION_AUTH", "S3");
    await using none = await make({ password: "s3cret-in-no-message" });
    const error: unknown = await none.check().catch((reason: unknown) => reason);
    await expectCode(Promise.reject(error as Error), "DESTINATION_AUTH", "user and password");
    expect(String(error)).not.toContain("s3cret");
  });

  it("without a staging place runs SQL, and takes no loads", async () => {
    await using connector = await make({ staging: undefined, iam_role: undefined });
    await connector.check();
    expect(await rowsOf(connector.sql!.query("select 1 as one"))).toEqual([{ one: 1 }]);
    await using load = await connector.destination!.openLoad(target({ key: "none", table: "none" }));
    await expectCode(write(load, [ID], [{ id: 1 }]), "CONNECTION_INVALID", "staging", "iam_role");
  });

  it("is refused beyond loopback without TLS that can be trusted, and where nobody answers", async () => {
    await using closed = await make({ port: 1, connect_timeout: 2 });
    await expectCode(closed.check(), "DESTINATION_UNAVAILABLE", "host");
    // The double has no TLS.
    await using verified = await make({ tls: "verify" });
    await expectCode(verified.check(), "CONNECTION_INVALID", "tls");
    const stop = new AbortController();
    const reason = new Error("enough");
    await using connector = await make({}, stop.signal);
    await using load = await connector.destination!.openLoad(target({ key: "stopped", table: "stopped" }));
    await load.begin(null);
    stop.abort(reason);
    await expect(load.write(rows(1))).rejects.toBe(reason);
  });

  it("wants a role with a staging place, and neither that could end a literal", () => {
    const issues = (given: object) =>
      redshift.config
        .safeParse({ host: "h", user: "u", database: "d", ...given })
        .error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
    expect(issues({})).toEqual([]);
    expect(issues({ staging: "s3://bucket/a/b=1", iam_role: "default" })).toEqual([]);
    expect(issues({ staging: "s3://bucket", iam_role: "arn:aws:iam::123456789012:role/a/b,arn:aws:iam::123456789013:role/c" })).toEqual([]);
    expect(issues({ staging: "s3://bucket/a" }).join()).toContain("iam_role: COPY needs it");
    expect(issues({ iam_role: "default" }).join()).toContain("staging: says where");
    for (const staging of ["s3://bucket/it's", "s3://bucket/a\\b", "https://bucket/x", "bucket/x", "s3://bucket/a b"])
      expect(issues({ staging, iam_role: "default" }).join()).toContain("staging: write s3://bucket/prefix");
    for (const role of ["me", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:role/x' --"])
      expect(issues({ staging: "s3://bucket/a", iam_role: role }).join()).toContain("iam_role: write default");
  });
});
