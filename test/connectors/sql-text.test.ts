// SQL text: parameters and statements are told from strings, names and comments.

import { describe, expect, it } from "vitest";
import { mysqlLexis } from "../../connectors/mysql/sql-lexis.ts";
import { onlyStatement, parseSql, scalar, sqlWith } from "../../connectors/lib/sql-text.ts";

const params = { a: 1, b: 2, name: "x" };
const numbered = (sql: string): readonly string[] => parseSql(sql, params).map((statement) => sqlWith(statement, (number) => `$${number}`));

describe("sql text", () => {
  it.each([
    ["select :a, :b, :a", ["select $1, $2, $3"]],
    ["select ':a', \":a\", 'it''s :a', :a", ["select ':a', \":a\", 'it''s :a', $1"]],
    ["select E'\\':a', e'\\\\', :a", ["select E'\\':a', e'\\\\', $1"]],
    ["select :a -- :b; no\n, :b", ["select $1 -- :b; no\n, $2"]],
    ["select /* :a /* :b */ ; */ :a", ["select /* :a /* :b */ ; */ $1"]],
    ["select $$ :a; $$, $tag$ :b $$ ; $tag$, :a", ["select $$ :a; $$, $tag$ :b $$ ; $tag$, $1"]],
    ["select :a::text, x::int, a[1:b], a[:b], {'k':a}, t.c:b", ["select $1::text, x::int, a[1:b], a[:b], {'k':a}, t.c:b"]],
    ["select 1; select ';'; ; -- end\n", ["select 1", " select ';'"]],
    ["select (:a)+:b", ["select ($1)+$2"]],
    ["select type'x', :name", ["select type'x', $1"]],
    ["select a$1, :a", ["select a$1, $1"]],
    ["", []],
    ["select 'open :a", ["select 'open $1"]],
  ])("%s", (sql, expected) => {
    expect(numbered(sql)).toEqual(expected);
  });

  it("keeps each statement's own parameters", () => {
    expect(parseSql("insert into t values (:a); delete from t where n = :name", params).map(({ names }) => names)).toEqual([
      ["a"],
      ["name"],
    ]);
  });

  it("names a parameter that is not given", () => {
    expect(() => parseSql("select :c", params)).toThrow(/:c, but params has no "c"; given: a, b, name/);
    expect(() => parseSql("select :toString", params)).toThrow(/:toString/);
  });

  it("takes one statement where one is wanted", () => {
    expect(sqlWith(onlyStatement(parseSql("select 1;", {})), String)).toBe("select 1");
    expect(() => onlyStatement(parseSql("select 1; select 2", {}))).toThrow(/has 2/);
    expect(() => onlyStatement(parseSql("-- nothing", {}))).toThrow(/has 0/);
  });

  it("binds scalars as they are and all else as JSON", () => {
    expect([1, "x", true, null, undefined, [1], { a: 1 }].map((value) => scalar(value))).toEqual([
      1,
      "x",
      true,
      null,
      null,
      "[1]",
      '{"a":1}',
    ]);
  });
});

describe("MySQL's SQL text", () => {
  const numberedMysql = (sql: string): readonly string[] =>
    parseSql(sql, params, mysqlLexis).map((statement) => sqlWith(statement, (number) => `$${number}`));

  it.each([
    ["select ':a\\' :b', \"it\\\"s :a\", `:a``;`, :a", ["select ':a\\' :b', \"it\\\"s :a\", `:a``;`, $1"]],
    ["select '\\\\', :a", ["select '\\\\', $1"]],
    ["select :a # :b; no\n, :b", ["select $1 # :b; no\n, $2"]],
    ["select :a -- :b; no\n, 2--:b", ["select $1 -- :b; no\n, 2--$2"]],
    ["select /* :a; /* */ :b", ["select /* :a; /* */ $1"]],
    ["set @x := 1; select $$ :a", ["set @x := 1", " select $$ $1"]],
    ["select 1; # that is all", ["select 1"]],
    ["/*!40101 set names utf8 */; --\n/* nothing */", ["/*!40101 set names utf8 */"]],
    ["select /* open :a", ["select /* open :a"]],
  ])("%s", (sql, expected) => {
    expect(numberedMysql(sql)).toEqual(expected);
  });
});
