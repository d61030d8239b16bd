// The check verb: asks the warehouse whether expectations hold, all of them, and fails with every one that does not.

import type { SqlWarehouse } from "../connectors/connector.ts";
import { toRows } from "../connectors/lib/rows.ts";
import { DownbeatError } from "../core/errors.ts";
import { roleOf } from "./connections.ts";
import { openFor, renderedConfig, type Verb, type VerbDeps } from "./verb.ts";

export interface CheckConfig {
  readonly connection: string;
  readonly table?: string;
  readonly query?: string;
  readonly expect: readonly Expectation[];
}

export type Expectation =
  | { readonly row_count: { readonly min?: number; readonly max?: number } }
  | { readonly not_null: readonly string[] }
  | { readonly unique: readonly (string | readonly string[])[] }
  /** A query that selects the rows that break the rule. */
  | { readonly sql: string; readonly name?: string };

/** One yes-or-no question: a query that counts, and which counts are right. */
interface Question {
  readonly name: string;
  readonly sql: string;
  readonly expected: string;
  readonly holds: (count: number) => boolean;
}

export const createCheck = (deps: VerbDeps): Verb => {
  return async (call, context) => {
    const config = await renderedConfig<CheckConfig>(deps, call);
    await using opened = await openFor(deps, config.connection, context);
    const warehouse = roleOf(opened, "sql");
    const results = [];
    for (const question of questions(config, warehouse)) {
      context.heartbeat();
      const count = await countOf(warehouse, question.sql);
      results.push({ name: question.name, ok: question.holds(count), observed: count, expected: question.expected });
    }
    const broken = results.filter((result) => !result.ok);
    if (broken.length > 0) {
      const list = broken.map((result) => `${result.name}: ${result.observed}, expected ${result.expected}`).join("; ");
      throw new DownbeatError(
        "CHECK_FAILED",
        `${broken.length} of ${results.length} checks on ${config.table ?? "the query"} did not hold: ${list}`,
        {
          details: { results },
        },
      );
    }
    return { output: { passed: results.length, results } };
  };
};

const questions = (config: CheckConfig, warehouse: SqlWarehouse): readonly Question[] => {
  const relation = config.table === undefined ? `(${config.query ?? ""}) as checked` : warehouse.quote(config.table);
  const none = { expected: "0", holds: (count: number) => count === 0 };
  return config.expect.flatMap((expectation): readonly Question[] => {
    if ("row_count" in expectation) {
      const { min = 0, max = Number.POSITIVE_INFINITY } = expectation.row_count;
      const expected = Number.isFinite(max) ? `${min} to ${max}` : `at least ${min}`;
      return [
        { name: "row_count", sql: `select count(*) as n from ${relation}`, expected, holds: (count) => count >= min && count <= max },
      ];
    }
    if ("not_null" in expectation) {
      return expectation.not_null.map((column) => ({
        name: `not_null ${column}`,
        sql: `select count(*) as n from ${relation} where ${warehouse.quote(column)} is null`,
        ...none,
      }));
    }
    if ("unique" in expectation) {
      return expectation.unique.map((entry) => {
        const columns = typeof entry === "string" ? [entry] : entry;
        const list = columns.map((column) => warehouse.quote(column)).join(", ");
        return {
          name: `unique ${columns.join(", ")}`,
          sql: `select count(*) as n from (select 1 as one from ${relation} group by ${list} having count(*) > 1) as doubled`,
          ...none,
        };
      });
    }
    return [{ name: expectation.name ?? "sql", sql: `select count(*) as n from (${expectation.sql}) as broken`, ...none }];
  });
};

const countOf = async (warehouse: SqlWarehouse, sql: string): Promise<number> => {
  for await (const batch of warehouse.query(sql)) {
    const [row] = toRows(batch);
    if (row !== undefined) return Number(row["n"]);
  }
  throw new DownbeatError("SQL_FAILED", "a counting query gave no row");
};
