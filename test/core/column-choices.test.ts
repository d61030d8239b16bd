import { describe, expect, test } from "vitest";
import { choiceFaults, chosenColumns } from "../../core/column-choices.ts";
import type { ColumnChoices } from "../../core/definition-columns.ts";

const faultsOf = (choices: ColumnChoices, keys: readonly string[] = []): readonly string[] =>
  choiceFaults(choices, keys).map(({ at, message }) => `${at.join(".")}: ${message}`);

describe("what is wrong whatever the source has", () => {
  test("nothing, where columns are selected, renamed, hashed and redacted, each for itself", () => {
    const choices = { select: ["id", "mail", "phone"], rename: { id: "key" }, hash: ["mail"], redact: ["phone"] };
    expect(faultsOf(choices, ["key", "mail"])).toEqual([]);
    expect(faultsOf({ omit: ["notes"], rename: { a: "b", b: "a" } }, ["a"])).toEqual([]);
    expect(faultsOf({ select: ["id"] }, ["${{ params.key }}"])).toEqual([]);
  });

  test("is told all at once", () => {
    const choices: ColumnChoices = {
      select: ["id", "mail", "mail", "total"],
      omit: ["mail"],
      rename: { id: "total", notes: "text" },
      hash: ["gone", "total"],
      redact: ["total"],
    };
    expect(faultsOf(choices)).toEqual([
      "columns.omit: columns are either selected or omitted; leave one of the two out",
      'columns.select.2: "mail" is there twice',
      'columns.hash.0: "gone" is left out already',
      'columns.redact.0: "total" is either hashed or redacted; leave it out of one of the two',
      'columns.rename.id: "id" and "total" would both be "total"',
      'columns.rename.notes: "notes" is left out already',
    ]);
    expect(faultsOf({ hash_key: { env: "KEY" }, omit: ["a"] })).toEqual([
      "columns.hash_key: there is nothing to hash with it; name columns in `hash`",
    ]);
  });

  test("also of casts: what is left out, hashed or redacted has no value to cast", () => {
    const cast = { a: "int64", b: "date", c: "decimal(12,2)", d: "string" };
    expect(faultsOf({ omit: ["a"], hash: ["b"], redact: ["c"], cast }, ["d"])).toEqual([
      'columns.cast.a: "a" is left out already',
      'columns.cast.b: "b" is hashed, and hashes are text',
      'columns.cast.c: "c" is redacted; there is no value to cast',
    ]);
  });

  test("also of keys: they are named as the table has them, and need values", () => {
    expect(faultsOf({ omit: ["a"], rename: { b: "c" }, redact: ["d"] }, ["a", "b", "d", "c"])).toEqual([
      'to.key.0: "a" is left out by `columns`, and rows cannot be merged without it',
      'to.key.1: "b" is renamed to "c", which is what the table has',
      'to.key.2: "d" is redacted, and NULLs make no key; hash it instead',
    ]);
  });

  test("names that every object inherits are names like others", () => {
    expect(faultsOf({ select: ["constructor", "toString"], redact: ["toString"] }, ["constructor"])).toEqual([]);
    expect(chosenColumns({ select: ["constructor"] }, ["constructor"])).toEqual([{ place: 0, name: "constructor", how: "as it is" }]);
  });
});

describe("the table's columns", () => {
  test("are those selected, in that order, or all but those omitted", () => {
    expect(chosenColumns({ select: ["c", "a"], rename: { a: "b" }, hash: ["c"] }, ["a", "b", "c"])).toEqual([
      { place: 2, name: "c", how: "hashed" },
      { place: 0, name: "b", how: "as it is" },
    ]);
    expect(chosenColumns({ omit: ["a"], redact: ["b"] }, ["a", "b", "c"])).toEqual([
      { place: 1, name: "b", how: "redacted" },
      { place: 2, name: "c", how: "as it is" },
    ]);
  });

  test("have the types that they are cast to, under their new names", () => {
    expect(chosenColumns({ rename: { a: "b" }, cast: { a: "int64" } }, ["a", "c"])).toEqual([
      { place: 0, name: "b", how: "cast", type: "int64" },
      { place: 1, name: "c", how: "as it is" },
    ]);
    expect(chosenColumns({ cast: { x: "int64" } }, ["a"])).toBe('there is no "x"; there are "a"');
  });

  test("are none where a name is missing, two would be the same, or nothing is left", () => {
    expect(chosenColumns({ redact: ["mial"], rename: { x: "y" } }, ["id", "mail"])).toBe('there is no "x", "mial"; there are "id", "mail"');
    expect(chosenColumns({ rename: { id: "mail" } }, ["id", "mail"])).toBe('two columns would be "mail"');
    expect(chosenColumns({ omit: ["id"] }, ["id"])).toBe("no column is left");
  });
});
