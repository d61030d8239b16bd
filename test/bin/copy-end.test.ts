// URLs, paths and files of configuration as ends of a copy: each connector's own reading, settings by their schemas, every fault at once.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { EndArguments } from "../../bin/copy/arguments.ts";
import { type End, type EndRole, resolveEnd } from "../../bin/copy/end.ts";
import { chosenStreams } from "../../bin/copy/plan.ts";
import { parseCopyArguments } from "../../bin/copy/arguments.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { builtinConnectors } from "../../connectors/registry.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-copy-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Given extends Partial<EndArguments> {
  readonly role?: EndRole;
  readonly env?: Readonly<Record<string, string>>;
}

const resolved = (url: string | undefined, { role = "source", env = {}, ...args }: Given = {}) =>
  resolveEnd(
    role,
    { url, configFile: undefined, options: [], passwordEnv: undefined, ...args },
    {
      catalogue: createCatalogue(builtinConnectors),
      env,
      baseDir: folder,
    },
  );

const end = (url: string, given?: Given): End => {
  const { end: found, faults } = resolved(url, given);
  expect(faults).toEqual([]);
  if (found === undefined) throw new Error("no end");
  return found;
};

const faults = (url: string, given?: Given): readonly string[] => resolved(url, given).faults;

describe("URLs of databases", () => {
  it("become configurations, with settings behind the question mark", () => {
    expect(end("mysql://ann:p%40ss@db.example.com:3307/shop?tls=verify&connect_timeout=3&zero_dates=null")).toMatchObject({
      config: { host: "db.example.com", port: 3307, user: "ann", password: "p@ss", database: "shop", tls: "verify", connect_timeout: 3 },
      options: { zero_dates: "null", tinyint1: "int" },
      stream: undefined,
      place: "mysql://db.example.com:3307/shop",
    });
    expect(end("postgresql://ann@[::1]/shop", { role: "destination" }).config).toEqual({ host: "::1", user: "ann", database: "shop" });
  });

  it("of Snowflake name account, database and schema", () => {
    const env = { SNOWFLAKE_PASSWORD: "p", SNOWFLAKE_ROLE: "loader" };
    expect(end("snowflake://ann@acme-analytics/shop/raw?warehouse=small", { role: "destination", env })).toMatchObject({
      config: {
        account: "acme-analytics",
        user: "ann",
        password: "p",
        database: "shop",
        schema: "raw",
        warehouse: "small",
        role: "loader",
      },
      place: "snowflake://acme-analytics/shop/raw",
    });
    expect(end("snowflake://ann:p%40ss@acme/shop", { role: "destination" }).config).toEqual({
      account: "acme",
      user: "ann",
      password: "p@ss",
      database: "shop",
    });
    expect(faults("snowflake://ann@acme:443/shop", { role: "destination" }).join("")).toContain("endpoint");
  });

  it("of BigQuery name project and dataset", () => {
    expect(end("bigquery://acme-analytics/shop?location=EU", { role: "destination" })).toMatchObject({
      config: { project: "acme-analytics", dataset: "shop", location: "EU" },
      place: "bigquery://acme-analytics/shop",
    });
    expect(faults("bigquery://acme-analytics", { role: "destination" }).join("")).toContain("bigquery://project/dataset");
    expect(faults("bigquery://acme-analytics/shop/orders", { role: "destination" }).join("")).toContain("--table");
  });

  it("of Redshift name database, schema, staging place and role", () => {
    const env = { PGPASSWORD: "p", REDSHIFT_IAM_ROLE: "default" };
    const url = "redshift://ann@shop.abc.eu-central-1.redshift.amazonaws.com/dev/raw?staging=s3://acme-loads/downbeat";
    expect(end(url, { role: "destination", env })).toMatchObject({
      config: {
        host: "shop.abc.eu-central-1.redshift.amazonaws.com",
        user: "ann",
        password: "p",
        database: "dev",
        schema: "raw",
        staging: "s3://acme-loads/downbeat",
        iam_role: "default",
      },
      place: "redshift://shop.abc.eu-central-1.redshift.amazonaws.com/dev/raw",
    });
    expect(faults("redshift://ann@h/dev?staging=/tmp", { role: "destination" }).join("\n")).toContain("s3://bucket/prefix");
    expect(faults("redshift://ann@h/dev?staging=s3://b-1/x", { role: "destination" }).join("\n")).toContain("iam_role");
  });

  it("take the password from the environment, a named variable before the usual one, and what is written before both", () => {
    const env = { MYSQL_PWD: "usual", MINE: "named", PGUSER: "bob" };
    expect(end("mysql://ann@h/shop", { env }).config["password"]).toBe("usual");
    expect(end("mysql://ann@h/shop", { env, passwordEnv: "MINE" }).config["password"]).toBe("named");
    expect(end("mysql://ann:written@h/shop", { env }).config["password"]).toBe("written");
    expect(end("postgres://h/shop", { env }).config["user"]).toBe("bob");
    expect(faults("mysql://ann@h/shop", { env, passwordEnv: "NONE" })).toEqual([
      "SOURCE mysql://ann@h/shop: --from-password-env: the variable NONE is not set",
    ]);
  });

  it("are refused with every fault and no password", () => {
    expect(faults("mysql://:geheim@h?ssl=true&tsl=require&connect_timeout=soon")).toEqual([
      expect.stringMatching(/^SOURCE mysql:\/\/@h: "ssl" is no setting of MySQL; known: host, .*tls.*zero_dates/),
      expect.stringContaining('"tsl" is no setting of MySQL; did you mean "tls"?'),
      "SOURCE mysql://@h: user is missing; write mysql://user@host:3306/database",
      "SOURCE mysql://@h: database is missing; write mysql://user@host:3306/database",
      expect.stringContaining("connect_timeout: Invalid input"),
    ]);
    expect(faults("mysql://ann:ge/heim@h/shop").join("")).toContain("@ : / ? #");
    expect(faults("mysql://ann:ge/heim@h/shop").join("")).not.toContain("heim");
    expect(faults("mysql://ann@h/shop/orders").join("")).toContain("tables are named by --table");
    expect(faults("postgers://h/db").join("")).toContain('did you mean "postgres"?');
    expect(faults("out.csv", { role: "destination" })).toEqual([
      expect.stringContaining("Local files is no destination of a copy; these are: bigquery://…, duckdb://…"),
    ]);
  });
});

describe("other ends", () => {
  it("are files by their path, wherever the path leads", () => {
    expect(end("./in/orders.csv")).toMatchObject({ config: { root: "/" }, stream: path.join(folder, "in/orders.csv").slice(1) });
    expect(end("../*.parquet").stream).toBe(path.join(path.dirname(folder), "*.parquet").slice(1));
    expect(end("file:///data/a%20b.csv")).toMatchObject({ stream: "data/a b.csv", shown: "file:///data/a b.csv" });
    expect(end("data/")).toMatchObject({ config: { root: path.join(folder, "data") }, stream: undefined });
    expect(
      end("./a.csv", {
        options: [
          ["delimiter", ";"],
          ["header", "false"],
          ["columns", '{"a": "int64"}'],
        ],
      }).options,
    ).toMatchObject({
      delimiter: ";",
      header: false,
      columns: [{ name: "a", type: { kind: "int64" } }],
    });
  });

  it("are DuckDB files by scheme or ending", () => {
    expect(end("duckdb://sub/file.db?threads=2", { role: "destination" }).config).toEqual({ path: "sub/file.db", threads: 2 });
    expect(end("duckdb:///abs/file.db").config).toEqual({ path: "/abs/file.db" });
    expect(end("x.duckdb", { role: "destination" })).toMatchObject({
      config: { path: "x.duckdb" },
      place: `duckdb://${path.join(folder, "x.duckdb")}`,
    });
  });

  it("are objects, as sources by key and as destinations by folder", () => {
    const env = { AWS_REGION: "eu-central-1", AWS_ENDPOINT_URL: "http://127.0.0.1:9000" };
    expect(end("s3://lake/in/*.csv.gz?path_style=true", { env })).toMatchObject({
      config: { bucket: "lake", region: "eu-central-1", endpoint: "http://127.0.0.1:9000", path_style: true },
      stream: "in/*.csv.gz",
    });
    expect(end("s3://lake/out?format=csv", { role: "destination" })).toMatchObject({
      config: { bucket: "lake", prefix: "out/" },
      options: { format: "csv" },
    });
  });

  it("are topics and endpoints", () => {
    expect(end("kafka://ann:x@b1:9092,b2:9092/shop.orders?sasl_mechanism=PLAIN&format=text")).toMatchObject({
      config: { brokers: ["b1:9092", "b2:9092"], user: "ann", password: "x", sasl_mechanism: "PLAIN" },
      options: { format: "text" },
      stream: "shop.orders",
      place: "kafka://b1:9092,b2:9092",
    });
    expect(end("kafka://b1:9092", { role: "destination" })).toMatchObject({ config: { brokers: ["b1:9092"] }, place: "kafka://b1:9092" });
    expect(faults("kafka://b1:9092/shop.orders", { role: "destination" }).join("")).toContain("--into");
    expect(end("https://api.example.com/v1/orders?status=open", { options: [["records", "data"]] })).toMatchObject({
      config: { base_url: "https://api.example.com" },
      options: { params: { status: "open" }, records: "data" },
      stream: "/v1/orders",
    });
  });

  it("are files of configuration, whose secrets may be references", () => {
    const write = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text);
      return name;
    };
    const good = write("crm.yaml", "kind: mysql\nconfig: { host: h, user: u, database: d, password: { env: CRM } }\n");
    expect(resolved(undefined, { configFile: good, options: [["port", "3310"]] }).end).toMatchObject({
      config: { host: "h", port: 3310, password: { env: "CRM" } },
      place: expect.stringMatching(/^mysql:[0-9a-f]{12}$/) as unknown,
    });
    const of = (configFile: string): string => resolved(undefined, { configFile }).faults.join("\n");
    expect(of(write("kind.json", '{"kind": "mysq", "config": {}}'))).toContain('did you mean "mysql"?');
    expect(of(write("none.json", "[]"))).toContain("it must have a kind and a config");
    expect(of(write("key.json", '{"kind": "duckdb", "config": {"path": "x", "thread": 1}}'))).toContain('did you mean "threads"?');
    expect(of("missing.json")).toContain("ENOENT");
  });
});

describe("what is copied", () => {
  const chosen = (url: string, ...argv: readonly string[]) => chosenStreams(parseCopyArguments([url, "x.duckdb", ...argv]).args, end(url));

  it("gets the table's name from the stream's", () => {
    expect(chosen("./orders.2026.csv.gz").streams).toMatchObject([{ table: "orders" }]);
    expect(chosen("kafka://b:1/shop.orders").streams).toMatchObject([{ name: "shop.orders", table: "shop_orders" }]);
    expect(chosen("postgres://u@h/d", "--table", "public.orders", "--table", "crm.orders").streams).toMatchObject([
      { name: "public.orders", table: "orders" },
      { name: "crm.orders", table: "crm.orders" },
    ]);
    expect(chosen("mysql://u@h/d", "--query", "select 1", "--into", "ones")).toEqual({
      streams: [{ name: "query", query: "select 1", table: "ones" }],
      faults: [],
    });
  });

  it("has to be said, in one way, and to lead to one table each", () => {
    expect(chosen("mysql://u@h/d").faults).toEqual(["it is not said what to copy: --table NAME, --all-tables or --query SQL"]);
    expect(chosen("./a.csv", "--table", "x").faults[0]).toContain("said in 2 ways");
    expect(chosen("mysql://u@h/d", "--query", "select 1").faults).toEqual(["--query needs --into: the table for what it answers"]);
    expect(chosen("./*.csv").faults).toEqual([expect.stringContaining("name the table with --into")]);
    expect(chosen("postgres://u@h/d", "--table", "public.a", "--table", "a").faults).toEqual([
      '"public.a" and "a" would both become the table a',
    ]);
    expect(chosen("mysql://u@h/d", "--all-tables", "--into", "x", "--omit", "y").faults).toEqual([
      "--into names one table, but several are copied",
      "columns can be chosen for one table alone; copy it by itself",
    ]);
    expect(chosen("mysql://u@h/d", "--table", "x", "--exclude", "y").faults).toEqual(["--exclude goes with --all-tables"]);
  });
});
