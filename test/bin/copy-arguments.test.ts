// The command line of `downbeat copy`: what it takes, and every fault at once.

import { describe, expect, it } from "vitest";
import { OPTIONS, parseCopyArguments, USAGE, withoutPassword } from "../../bin/copy/arguments.ts";
import { describeProgress } from "../../bin/copy/display.ts";

const faultsOf = (...argv: readonly string[]): readonly string[] => parseCopyArguments(argv).faults;

describe("arguments of a copy", () => {
  it("are taken as they are written", () => {
    const { args, faults } = parseCopyArguments([
      "mysql://u@h/db",
      "shop.duckdb",
      "--table=orders",
      "--table",
      "customers",
      "--mode",
      "merge",
      "--key",
      "id, day",
      "--cursor",
      "at",
      "--from-option",
      "tls=require",
      "--from-option",
      "columns=[1=2]",
      "--to-password-env",
      "SECRET",
      "--max-dead-letters",
      "12",
      "--json",
    ]);
    expect(faults).toEqual([]);
    expect(args).toMatchObject({
      from: {
        url: "mysql://u@h/db",
        options: [
          ["tls", "require"],
          ["columns", "[1=2]"],
        ],
      },
      to: { url: "shop.duckdb", passwordEnv: "SECRET" },
      tables: ["orders", "customers"],
      mode: "merge",
      key: ["id", "day"],
      cursor: "at",
      maxDeadLetters: 12,
      retries: 5,
      json: true,
      yes: false,
      columns: undefined,
    });
  });

  it("choose columns as a transfer does", () => {
    const { args, faults } = parseCopyArguments([
      "a.csv",
      "b.duckdb",
      "--omit",
      "note",
      "--rename",
      "id=order_id,n=name",
      "--hash",
      "email",
      "--hash-key-env",
      "KEY",
      "--redact",
      "phone",
      "--cast",
      "total=decimal(12,2)",
      "--cast",
      "at=timestamptz",
    ]);
    expect(faults).toEqual([]);
    expect(args.columns).toEqual({
      omit: ["note"],
      rename: { id: "order_id", n: "name" },
      hash: ["email"],
      hash_key: { env: "KEY" },
      redact: ["phone"],
      cast: { total: "decimal(12,2)", at: "timestamptz" },
    });
    expect(faultsOf("a.csv", "b.duckdb", "--cast", "total=number", "--omit", "total")).toEqual([
      '--cast total: "number" is no column type; write decimal(12,2) or one of bool, int32, int64, uint64, float32, float64, string, binary, date, time, timestamp, timestamptz, json, uuid',
      '--cast: "total" is left out already',
    ]);
  });

  it("are refused with all their faults at once", () => {
    expect(
      faultsOf("a.csv", "b.duckdb", "c.csv", "--tabel", "orders", "--mode", "upsert", "--retries", "many", "--into", "--json", "--yes=no"),
    ).toEqual([
      "there is no option --tabel; did you mean --table?",
      "--into needs a value",
      "--yes takes no value",
      '"c.csv" is one argument too many',
      '--mode is "upsert"; it takes replace, append, merge',
      '--retries is "many"; it takes a whole number from 0',
    ]);
    expect(faultsOf("--mode", "merge", "--columns", "a,a")).toEqual([
      "SOURCE and DESTINATION are missing, such as ./orders.csv shop.duckdb",
      "--mode merge needs --key: the columns by which rows are the same",
      '--columns: "a" is there twice',
    ]);
    expect(faultsOf("--from-config", "crm.yaml")).toEqual(["DESTINATION is missing, such as ./orders.csv shop.duckdb"]);
    expect(faultsOf("a.csv", "b.duckdb", "--cursor", "at", "--mode", "replace")).toEqual([
      "--cursor needs --mode append or --mode merge: what is new comes on top of what is there",
    ]);
    expect(faultsOf("a.csv", "b.duckdb", "--mode", "merge", "--key", "id", "--rename", "id=no", "--hash-key-env", "K")).toEqual([
      "--hash-key-env: there is nothing to hash with it; name columns in `hash`",
      '--key: "id" is renamed to "no", which is what the table has',
    ]);
  });

  it("never repeat what may be a secret", () => {
    expect(withoutPassword("mysql://u:geheim@h/db")).toBe("mysql://u@h/db");
    expect(withoutPassword("mysql://u:ge:he@im@h/db?password=x")).toBe("mysql://u@h/db?password=***");
    expect(withoutPassword("https://api.example.com:8080/x")).toBe("https://api.example.com:8080/x");
    expect(faultsOf("a.csv", "b.duckdb", "mysql://u:geheim@h/db", "--from-option", "geheim").join("\n")).not.toContain("geheim");
  });

  it("are all in the help", () => {
    const known = Object.keys(OPTIONS);
    expect(known.filter((name) => !new RegExp(`--${name}\\b(?!-)`).test(USAGE))).toEqual([]);
    expect([...USAGE.matchAll(/--([a-z][a-z-]*[a-z])/g)].map(([, name = ""]) => name).filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe("the progress of a copy", () => {
  const figures = { rows: 300_000, bytes: 12_340_000, chunks: 1 };

  it("has a bar and what is left where the source can guess its rows, and never claims to be done", () => {
    expect(describeProgress("orders", figures, { before: 0, estimate: 600_000, seconds: 3 })).toBe(
      "orders  ████████████░░░░░░░░░░░░  50%  300,000 rows  100,000 rows/s  12.3 MB  0:03  1 chunk  about 0:03 left",
    );
    expect(describeProgress("orders", figures, { before: 0, estimate: 200_000, seconds: 3 })).toContain("  99%  300,000 rows");
  });

  it("does without elsewhere, and counts the pace from where it went on", () => {
    expect(describeProgress("orders", figures, { before: 200_000, estimate: undefined, seconds: 4_000 })).toBe(
      "orders  300,000 rows  25 rows/s  12.3 MB  1:06:40  1 chunk",
    );
  });
});
