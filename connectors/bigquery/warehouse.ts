// BigQuery's SQL role: a user's own statements as one script in a transaction, and queries in batches.

import type { Json } from "../../core/json.ts";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch } from "../batch.ts";
import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { splitName } from "../lib/load/names.ts";
import { fromRows } from "../lib/rows.ts";
import { onlyStatement, parseSql, scalar, sqlWith, type SqlStatement } from "../lib/sql-text.ts";
import { BigqueryClient } from "./client.ts";
import { backticked, queryParameter } from "./google-sql.ts";
import { type Page, type Query, type QuerySettings, runQuery } from "./jobs.ts";
import { columnOf, jsonOf } from "./result-values.ts";
import type { BigqueryConfig } from "./spec.ts";
import { bigqueryLexis } from "./sql-lexis.ts";

type Params = Readonly<Record<string, Json>>;

/** An answer has up to 10 MB, so that it may have fewer. */
const PAGE_ROWS = 10_000;

/** NULL goes as the word, which fits every type; a parameter has one. */
const textOf = (statement: SqlStatement, params: Params): string => {
  const { names } = statement;
  let at = 0;
  return sqlWith(statement, () => {
    const name = names[at++]!;
    return scalar(params[name]) === null ? "null" : `@${name}`;
  });
};

const settingsOf = (statements: readonly SqlStatement[], params: Params, dataset: string): QuerySettings => {
  const names = [...new Set(statements.flatMap((statement) => statement.names))];
  const given = names.map((name) => ({ name, value: scalar(params[name]) })).filter(({ value }) => value !== null);
  return { params: given.map(({ name, value }) => queryParameter(name, value)), dataset };
};

export const createBigqueryWarehouse = (config: BigqueryConfig, context: ConnectorContext, what: string): SqlWarehouse => {
  const { signal } = context;
  const send = async (sql: string, settings: QuerySettings): Promise<Query> => {
    signal.throwIfAborted();
    const client = new BigqueryClient(config, context, "sql", what);
    try {
      const query = await runQuery(client, sql, settings, PAGE_ROWS);
      const pageAfter = (token: string): Promise<Page> =>
        query.pageAfter(token).catch((error: unknown) => {
          throw client.error(error);
        });
      return { ...query, pageAfter };
    } catch (error) {
      throw client.error(error);
    }
  };

  return {
    quote: (name) => (splitName(name) ?? [name]).map(backticked).join("."),

    async execute(sql, params = {}) {
      const statements = parseSql(sql, params, bigqueryLexis);
      const texts = statements.map((statement) => textOf(statement, params));
      const settings = settingsOf(statements, params, config.dataset);
      if (texts.length <= 1) return { rowsAffected: (await send(texts.join(""), settings)).page.changed };
      // One that fails undoes all of them. The line breaks end comments.
      const script = ["begin transaction", ...texts, "select @@row_count as changed", "commit transaction"].join("\n;\n");
      const { page } = await send(script, settings);
      const changed = page.rows[0]?.f[0]?.v;
      return { rowsAffected: typeof changed === "string" ? Number(changed) : null };
    },

    async *query(sql, params = {}) {
      const statement = onlyStatement(parseSql(sql, params, bigqueryLexis));
      const { page: first, pageAfter } = await send(textOf(statement, params), settingsOf([statement], params, config.dataset));
      const columns = first.fields.map(columnOf);
      for (let page = first; ; ) {
        yield batchOf(page, columns, first.fields);
        context.progress();
        if (page.next === undefined) return;
        page = await pageAfter(page.next);
      }
    },
  };

  function batchOf({ rows }: Page, columns: Batch["schema"]["columns"], fields: Page["fields"]): Batch {
    const records = rows.map(({ f }) =>
      Object.fromEntries(columns.map(({ name }, place) => [name, jsonOf(f[place]?.v ?? null, fields[place]!)])),
    );
    const made = fromRows(columns, records, { position: null });
    const [reject] = made.rejects ?? [];
    if (reject !== undefined) throw new DownbeatError("SQL_FAILED", `${what}: ${reject.where}: ${reject.reason}; cast it in the query`);
    return made;
  }
};
