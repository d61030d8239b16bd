// `downbeat copy` as people run it, between real systems: killed, interrupted and cut off in the middle, and nothing lost or doubled.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { DuckDBInstance } from "@duckdb/node-api";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { createConnection, type Connection } from "mysql2/promise";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresAddress } from "../../bin/services/postgres.ts";
import { resolveEnd } from "../../bin/copy/end.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import { openConnector, testContext } from "../contract/kit.ts";
import { freshBucket, freshMysqlDatabase, freshPostgresDatabase, freshTopic, type MysqlDatabase } from "../fixtures/services.ts";

const root = path.resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "downbeat-copy-"));

/** Six batches, of which the first five make a chunk. */
const MANY = 700_000;
const PATIENCE_MS = 60_000;

let shop: MysqlDatabase;
let warehouse: PostgresAddress;
let mysql: Connection;
let postgres: pg.Client;
let from: string;
let to: string;

beforeAll(async () => {
  [shop, warehouse] = await Promise.all([freshMysqlDatabase(), freshPostgresDatabase()]);
  const { host, port, user, password, database } = shop;
  mysql = await createConnection({ host, port, user, password, database, multipleStatements: true });
  postgres = new pg.Client({ connectionString: warehouse.url });
  await postgres.connect();
  from = `mysql://${user}@${host}:${port}/${database}`;
  to = `postgres://${warehouse.user}@${warehouse.host}:${warehouse.port}/${warehouse.database}`;
  const digits = `(${Array.from({ length: 10 }, (_, digit) => `select ${digit} d`).join(" union all ")})`;
  const places = Array.from({ length: 6 }, (_, place) => `p${place}`);
  const n = places.map((place, power) => `${place}.d * ${10 ** power}`).join(" + ");
  await mysql.query(`create table orders (id bigint primary key, customer varchar(40) not null, price decimal(10,2));
    insert into orders select n, concat('customer ', n), n / 8 from (select ${n} as n from ${places.map((place) => `${digits} ${place}`).join(" cross join ")}) as numbers where n < ${MANY};
    create table people (id int primary key, name varchar(40), mail varchar(80), seen datetime(6) not null);
    insert into people values (1, 'Ann', 'ann@example.org', '2026-01-01'), (2, 'Bob', null, '2026-01-02');
    create table tmp_x (id int)`);
}, 120_000);
afterAll(async () => {
  await mysql?.end();
  await postgres?.end();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const child = spawn(process.execPath, [path.join(root, "bin/downbeat.ts"), "copy", ...args], {
    cwd: folder,
    env: { ...process.env, MYSQL_PWD: shop.password, PGPASSWORD: warehouse.password, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  const ended = new Promise<Ended>((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out, err })));
  return { child, ended };
};

const copy = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> => start(args, env).ended;

const lines = ({ out }: Ended): readonly Record<string, unknown>[] =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const inDuckdb = async (file: string, sql: string): Promise<unknown> => {
  const instance = await DuckDBInstance.create(path.join(folder, file), { access_mode: "READ_ONLY" });
  try {
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(sql);
    connection.closeSync();
    return reader.getRowsJson();
  } finally {
    instance.closeSync();
  }
};

const COUNTS = "select count(*)::int, count(distinct id)::int from";

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

describe("a copy from MySQL to DuckDB", () => {
  const command = ["--table", "orders", "--json"];

  it("goes on behind what a killed one has committed, and the table appears whole", { timeout: 180_000 }, async () => {
    const killed = await copy([from, "shop.duckdb", ...command], { DOWNBEAT_FAILPOINTS: "after-commit:1" });
    expect(killed.signal).toBe("SIGKILL");
    expect(await inDuckdb("shop.duckdb", "select count(*)::int from duckdb_tables() where table_name = 'orders'")).toEqual([[0]]);
    const again = await copy([from, "shop.duckdb", ...command]);
    expect(again).toMatchObject({
      code: 0,
      err: expect.stringMatching(/orders: goes on behind [\d,]+ rows that are committed/) as unknown,
    });
    const [line] = lines(again);
    expect(line).toMatchObject({ table: "orders", status: "copied", rows: MANY, dead_letters: 0 });
    expect(line?.["resumed_rows"]).toBeGreaterThan(500_000);
    expect(await inDuckdb("shop.duckdb", `${COUNTS} orders`)).toEqual([[MANY, MANY]]);
  });

  it("does not touch a table that is there, unless it is told how", { timeout: 180_000 }, async () => {
    const refused = await copy([from, "shop.duckdb", ...command]);
    expect(refused.code).toBe(1);
    for (const text of ["the table orders is in", "--mode replace", "--mode append", "--mode merge --key"])
      expect(refused.err).toContain(text);
    expect(lines(refused)).toMatchObject([{ status: "failed", error: { code: "DESTINATION_TABLE_INVALID" } }]);
    expect(await copy([from, "shop.duckdb", ...command, "--mode", "replace"])).toMatchObject({ code: 0 });
    expect(await inDuckdb("shop.duckdb", `${COUNTS} orders`)).toEqual([[MANY, MANY]]);
  });
});

describe("a copy from MySQL to PostgreSQL", () => {
  it("of several tables goes on in the middle; what an earlier call copied is not added again, what a whole new one brings is", {
    timeout: 240_000,
  }, async () => {
    const command = [from, to, "--all-tables", "--exclude", "tmp_*", "--mode", "append", "--json"];
    // Orders take two commits; the third is that of people.
    const killed = await copy(command, { DOWNBEAT_FAILPOINTS: "before-commit:3" });
    expect(killed).toMatchObject({ signal: "SIGKILL" });
    expect(lines(killed)).toMatchObject([{ table: "orders", status: "copied", rows: MANY }]);
    const again = await copy(command);
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining("orders: was copied by the last call already") as unknown });
    expect(lines(again)).toMatchObject([
      { table: "orders", rows: MANY, resumed_rows: MANY },
      { table: "people", rows: 2 },
    ]);
    const counts = async (table: string): Promise<unknown> => (await postgres.query({ text: `${COUNTS} ${table}`, rowMode: "array" })).rows;
    expect([await counts("orders"), await counts("people")]).toEqual([[[MANY, MANY]], [[2, 2]]]);
    expect(await copy(command)).toMatchObject({ code: 0 });
    expect([await counts("orders"), await counts("people")]).toEqual([[[2 * MANY, MANY]], [[4, 2]]]);
  });

  it("takes the columns that are chosen, from a query too, and by a cursor only what is new", { timeout: 120_000 }, async () => {
    const chosen = ["--rename", "id=person", "--hash", "mail", "--hash-key-env", "HASHES", "--redact", "name"];
    const command = [
      from,
      to,
      "--table",
      "people",
      "--into",
      "crm.people",
      "--mode",
      "merge",
      "--key",
      "person",
      "--cursor",
      "seen",
      ...chosen,
    ];
    expect(await copy(command, { HASHES: "k" })).toMatchObject({ code: 0, err: "" });
    await mysql.query("insert into people values (3, 'Cyd', 'cyd@example.org', '2026-01-03')");
    const second = await copy([...command, "--json"], { HASHES: "k" });
    expect(lines(second)).toMatchObject([{ status: "copied", rows: 1 }]);
    const { rows } = await postgres.query("select person, name, length(mail) as hash from crm.people order by 1");
    expect(rows).toEqual([
      { person: 1, name: null, hash: 64 },
      { person: 2, name: null, hash: null },
      { person: 3, name: null, hash: 64 },
    ]);
    const query = ["--query", "select id, price from orders where id < 10", "--into", "few", "--key", "id"];
    expect(await copy([from, to, ...query])).toMatchObject({ code: 0, out: expect.stringMatching(/few +copied +10 /) as unknown });
  });

  it("stops when it is told to, and goes on when it is run again", { timeout: 240_000 }, async () => {
    await postgres.query("create table held (id bigint, customer text, price numeric(10,2))");
    const command = [from, to, "--table", "orders", "--into", "held", "--mode", "append", "--json"];
    const holder = new pg.Client({ connectionString: warehouse.url });
    await holder.connect();
    await holder.query("begin; lock table held in share mode");
    // Of this database alone: other files' tests wait for locks on the same server, and are not to be cut off.
    const waiting = "pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";
    const waits = async (): Promise<boolean> => {
      const { rows } = await postgres.query<{ readonly n: number }>(`select count(*)::int as n from ${waiting}`);
      return (rows[0]?.n ?? 0) > 0;
    };
    const cutOff = () => postgres.query(`select pg_terminate_backend(pid) from ${waiting}`);
    const { child, ended } = start(command);
    await until(waits);
    child.kill("SIGINT");
    const stopped = await ended;
    expect(stopped).toMatchObject({ code: 130, err: expect.stringContaining("the same command begins it again") as unknown });
    expect(lines(stopped)).toMatchObject([{ status: "interrupted", rows: 0 }]);

    // The server does not notice that its client has gone while it waits for a lock.
    await cutOff();
    await until(async () => !(await waits()));

    // Cut off this time, it tries again by itself.
    const cut = start(command);
    await until(waits);
    await cutOff();
    await until(waits);
    await holder.query("commit");
    await holder.end();
    expect(await cut.ended).toMatchObject({ code: 0, err: expect.stringMatching(/DESTINATION_UNAVAILABLE: .*goes on in 1 s/) as unknown });
    expect((await postgres.query({ text: `${COUNTS} held`, rowMode: "array" })).rows).toEqual([[MANY, MANY]]);
  });

  it("says what is wrong with a connection or a stream, without passwords", { timeout: 120_000 }, async () => {
    const wrong = await copy([from.replace("@", ":geheim1@"), to, "--table", "orders", "--into", "x"]);
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining("SOURCE_AUTH") as unknown });
    expect(wrong.err).toContain("note: others on this machine can see a password");
    const wrongTo = await copy([from, to, "--table", "orders", "--into", "x", "--to-password-env", "WRONG"], { WRONG: "geheim2" });
    expect(wrongTo).toMatchObject({ code: 1, err: expect.stringContaining("DESTINATION_AUTH") as unknown });
    expect(wrong.err + wrong.out + wrongTo.err + wrongTo.out).not.toContain("geheim");
    const none = await copy([from, to, "--table", "oders", "--retries", "0"]);
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining("SOURCE_STREAM_NOT_FOUND") as unknown });
    expect(await copy([from, to, "--mode", "x"])).toMatchObject({ code: 2, out: "" });
  });
});

describe("a copy of files", () => {
  it("goes on in the middle of one when it was killed, also into a table that is there", { timeout: 180_000 }, async () => {
    const rows = Array.from({ length: MANY }, (_, id) => `${id},item ${id}`).join("\n");
    writeFileSync(path.join(folder, "items.csv"), `id,item\n${rows}\n`);
    writeFileSync(path.join(folder, "more.csv"), "id,item\n-1,first\n");
    expect(await copy(["more.csv", "files.duckdb", "--into", "items"])).toMatchObject({ code: 0 });
    const command = ["./items.csv", "files.duckdb", "--mode", "append"];
    expect(await copy(command, { DOWNBEAT_FAILPOINTS: "after-commit:1" })).toMatchObject({ signal: "SIGKILL" });
    expect(await copy([...command, "--omit", "item"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("--restart to add all rows nevertheless") as unknown,
    });
    expect(await copy(command)).toMatchObject({ code: 0 });
    expect(await inDuckdb("files.duckdb", `${COUNTS} items`)).toEqual([[MANY + 1, MANY + 1]]);
  });

  it("puts rows aside that cannot be read, as many as it may", { timeout: 120_000 }, async () => {
    writeFileSync(path.join(folder, "bad.csv"), "id,item\n1,tea\n2,coffee,black\n");
    const refused = await copy(["bad.csv", "bad.duckdb"]);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("--max-dead-letters N") as unknown });
    expect(await copy(["bad.csv", "bad.duckdb", "--max-dead-letters", "1", "--json"])).toMatchObject({
      code: 0,
      out: expect.stringContaining('"dead_letters":1') as unknown,
    });
    expect(await inDuckdb("bad.duckdb", "select id::int from bad")).toEqual([[1]]);
  });

  it("reads from a bucket and writes into one, with the usual credentials", { timeout: 120_000 }, async () => {
    const { endpoint, region, accessKeyId, secretAccessKey, bucket } = await freshBucket();
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    for (const [Key, Body] of Object.entries({ "in/a.csv": "id,n\n1,x\n", "in/b.csv": "id,n\n2,y\n" }))
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    client.destroy();
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region, AWS_ENDPOINT_URL: endpoint };
    const bucketUrl = (key: string): string => `s3://${bucket}/${key}?path_style=true`;
    expect(await copy([bucketUrl("in/*.csv"), "objects.duckdb", "--into", "main.both"], env)).toMatchObject({ code: 0 });
    const out = ["objects.duckdb", bucketUrl("out"), "--table", "both"];
    expect(await copy(out, { ...env, DOWNBEAT_FAILPOINTS: "between-staging-and-swap:1" })).toMatchObject({ signal: "SIGKILL" });
    expect(await copy(out, env)).toMatchObject({ code: 0 });
    expect(await copy(out, env)).toMatchObject({ code: 1, err: expect.stringContaining("the table both is in s3://") as unknown });
    expect(await copy([bucketUrl("out/both/*.parquet"), "objects.duckdb", "--into", "back"], env)).toMatchObject({ code: 0 });
    expect(await inDuckdb("objects.duckdb", "select id::int, n from back order by 1")).toEqual([
      [1, "x"],
      [2, "y"],
    ]);
  });
});

describe("a copy of a topic", () => {
  it("takes what is there, and with append goes on at its offsets", { timeout: 120_000 }, async () => {
    const { brokers, topic } = await freshTopic(2);
    const producer = new Producer({ clientId: "test", bootstrapBrokers: [...brokers], serializers: stringSerializers, idempotent: true });
    const produce = (...ids: readonly number[]) =>
      producer.send({ messages: ids.map((id) => ({ topic, value: JSON.stringify({ id }), partition: id % 2 })) });
    try {
      await produce(1, 2, 3);
      const command = [`kafka://${brokers.join(",")}/${topic}?metadata=false`, "topics.duckdb", "--into", "events"];
      expect(await copy(command)).toMatchObject({ code: 0 });
      expect(await copy([...command, "--mode", "replace"])).toMatchObject({ code: 0 });
      const appending = [...command.slice(0, 2), "--into", "appended", "--mode", "append"];
      expect(await copy(appending)).toMatchObject({ code: 0 });
      await produce(4);
      expect(await copy(appending)).toMatchObject({ code: 0, out: expect.stringMatching(/appended +copied +1 /) as unknown });
    } finally {
      await producer.close();
    }
    expect(await inDuckdb("topics.duckdb", `${COUNTS} events`)).toEqual([[3, 3]]);
    expect(await inDuckdb("topics.duckdb", `${COUNTS} appended`)).toEqual([[4, 4]]);
  });
});

describe("the number of rows that a source guesses", () => {
  const guess = async (url: string, stream: string): Promise<number | undefined> => {
    const env = { MYSQL_PWD: shop.password, PGPASSWORD: warehouse.password };
    const args = { url, configFile: undefined, options: [], passwordEnv: undefined };
    const { end } = resolveEnd("source", args, { catalogue: createCatalogue(builtinConnectors), env, baseDir: folder });
    if (end === undefined) throw new Error(`${url} is no source`);
    await using connector = await openConnector(end.spec, end.config, testContext(folder));
    return connector.source?.estimateRows?.(stream);
  };

  it("is near where the system keeps count, and none where it does not", async () => {
    await mysql.query("analyze table orders");
    await postgres.query("create table counted as select generate_series(1, 1000) as id");
    await postgres.query("create table uncounted (id int)");
    await postgres.query("analyze counted");
    expect(await copy([to, "guessed.duckdb", "--table", "counted"])).toMatchObject({ code: 0 });
    const near = await guess(from, "orders");
    expect(near).toBeGreaterThan(MANY / 2);
    expect(near).toBeLessThan(MANY * 2);
    expect([await guess(to, "counted"), await guess(to, "public.counted"), await guess("guessed.duckdb", "counted")]).toEqual([
      1_000, 1_000, 1_000,
    ]);
    expect([await guess(from, "none"), await guess(to, "uncounted"), await guess("guessed.duckdb", "none")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
