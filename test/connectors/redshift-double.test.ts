// The double of Redshift refuses what Redshift does not know, and changes nothing else than it says.

import { describe, expect, it } from "vitest";
import { parseCopy } from "../fixtures/redshift-copy.ts";
import { toPostgres } from "../fixtures/redshift-words.ts";

describe("the double of Redshift", () => {
  it("takes names for lower case, and leaves texts and comments as they are", () => {
    expect(toPostgres(`select "Id", 'A"B' as "X""Y" from "T" -- "No"`)).toBe(`select "id", 'A"B' as "x""y" from "t" -- "No"`);
    expect(toPostgres(String.raw`select 'it\'s "A"', "B"`)).toBe(String.raw`select 'it\'s "A"', "b"`);
    expect(toPostgres(`select sysdate, 'sysdate', "sysdate"`)).toBe(`select now(), 'sysdate', "sysdate"`);
  });

  it.each([
    "insert into t values (1) on conflict do nothing",
    "insert into t values (1) returning i",
    "truncate table t",
    "create index on t (i)",
    "alter table t alter column i type bigint",
    "alter table t set schema s",
    "alter table t alter column i type varchar(10)",
    'alter table "s"."t" add column "a" integer, add column "b" integer',
    "alter table t add column a integer, drop column b",
    "alter table t add column if not exists a integer",
    "alter table t add column a integer not null",
    'delete from "s"."t" as t using x where t.i = x.i',
    "create table t (v text)",
    "create table t (v jsonb)",
    "select now()",
    "insert into t (id) values (gen_random_uuid())",
    `select "${"x".repeat(128)}"`,
  ])("refuses %s", (sql) => {
    expect(toPostgres(sql)).toMatch(/^!Redshift has no /);
  });

  it.each([
    `alter table "s"."t" add column "a" numeric(20,2)`,
    "alter table t add column a integer default 0 not null",
    "alter table t add column a integer not null default 0",
    "alter table t drop column a",
    "alter table t rename column a to b",
  ])("takes %s", (sql) => {
    expect(toPostgres(sql)).toBe(sql);
  });

  it("takes no COPY but the one that Downbeat writes", () => {
    const copy = `copy "s"."a b" ("i", "v,1") from 's3://b/m' iam_role default region 'eu-central-1'
      manifest format as csv gzip null as 'null-1' dateformat 'YYYY-MM-DD' timeformat 'auto' maxerror 0 compupdate off`;
    expect(parseCopy(copy)).toMatchObject({ table: '"s"."a b"', columns: '"i", "v,1"', manifest: "s3://b/m", marker: "null-1" });
    for (const [one, other] of [
      ["maxerror 0", "maxerror 1"],
      ["compupdate off", "compupdate off truncatecolumns"],
      ["iam_role default", "access_key_id 'a' secret_access_key 'b'"],
      ["manifest ", ""],
    ] as const)
      expect(parseCopy(copy.replace(one, other))).toBeUndefined();
  });
});
