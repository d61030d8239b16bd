// Fits a stream's columns to a table by the schema policy: what to create, add, widen, refuse or leave out.

import type { Column, ColumnType, Schema } from "../../batch.ts";
import type { LoadTarget, SchemaChange, SchemaPolicy } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import { holds, roundingDouble, widened } from "./fit.ts";
import { typeName } from "../rows.ts";
import { quoteIdentifier } from "./names.ts";
import type { Definition, Dialect, InsertColumn, LoadSession, TableColumn } from "./session.ts";
import { isRounded, refuseRounding } from "./whole-doubles.ts";

export interface Shape {
  /** The batch's columns that go in, each with the type that its table column has once `statements` have run. */
  readonly insert: readonly InsertColumn[];
  /** The table's columns after that. */
  readonly columns: readonly TableColumn[];
  readonly statements: readonly Definition[];
  /** What `statements` change, and what is left out. */
  readonly changes: readonly SchemaChange[];
}

export interface ShapeRequest {
  readonly dialect: Dialect;
  /** Quoted, for statements. */
  readonly relation: string;
  /** As the definition writes it, for messages. */
  readonly table: string;
  readonly existing: readonly TableColumn[] | undefined;
  readonly schema: Schema;
  /** By a column's name. */
  readonly policy: (column: string) => SchemaPolicy;
  /** Further column definitions of a table that has to be created. */
  readonly extra?: readonly string[];
  readonly temporary?: boolean;
}

export const evolve = (): SchemaPolicy => "evolve";

/** The target's, which may differ from column to column. */
export const policyOf = ({ schema, columnSchema = {} }: LoadTarget, { fold }: Dialect): ((column: string) => SchemaPolicy) => {
  const own = new Map(Object.entries(columnSchema).map(([column, policy]) => [fold(column), policy]));
  return (column) => own.get(fold(column)) ?? schema;
};

export const defineShape = async (session: LoadSession, { statements }: Shape): Promise<void> => {
  for (const statement of statements) await define(session, statement);
};

const define = async (session: LoadSession, statement: Definition): Promise<void> => {
  await (typeof statement === "string" ? session.run(statement) : statement(session));
};

export const shapeTable = (request: ShapeRequest): Shape => {
  const { dialect, existing, schema } = request;
  refuseDoubles(request);
  if (existing === undefined) return newTable(request);
  const byName = new Map(existing.map((column) => [column.name, column]));
  const byFold = new Map(existing.map((column) => [dialect.fold(column.name), column]));
  const columns = new Map(byName);
  const insert: InsertColumn[] = [];
  const statements: Definition[] = [];
  const changes: SchemaChange[] = [];
  for (const [index, column] of schema.columns.entries()) {
    const found = byName.get(column.name) ?? byFold.get(dialect.fold(column.name));
    const fitted = found === undefined ? missing(request, column) : present(request, found, column);
    if (fitted === undefined) {
      changes.push({ column: column.name, change: "left_out", before: typeName(column.type), after: null });
      continue;
    }
    columns.set(fitted.column.name, fitted.column);
    insert.push({ index, name: fitted.column.name, type: column.type, sqlType: fitted.column.sqlType });
    if (fitted.statement === undefined) continue;
    statements.push(fitted.statement);
    const [before, after] = [found?.type, fitted.column.type].map((type) => (type === undefined ? null : typeName(type)));
    changes.push({
      column: fitted.column.name,
      change: found === undefined ? "added" : "widened",
      before: before ?? null,
      after: after ?? null,
    });
  }
  const given = new Set(insert.map(({ name }) => name));
  const lacking = existing.find((column) => column.required && !given.has(column.name));
  if (lacking !== undefined) {
    throw mismatch(
      `table ${request.table}: column "${lacking.name}" is NOT NULL without a default, and the stream does not give it; drop the constraint or add the column to the stream`,
      { column: lacking.name },
    );
  }
  if (insert.length === 0 && schema.columns.length > 0) {
    throw mismatch(`table ${request.table} has none of the stream's columns (${schema.columns.map(({ name }) => name).join(", ")})`, {});
  }
  return { insert, columns: [...columns.values()], statements, changes };
};

const mismatch = (message: string, details: Readonly<Record<string, unknown>>): DownbeatError =>
  new DownbeatError("DESTINATION_SCHEMA_MISMATCH", message, { details });

const refuseDoubles = ({ dialect, schema, table }: ShapeRequest): void => {
  const seen = new Map<string, string>();
  for (const { name } of schema.columns) {
    const folded = dialect.fold(name);
    const other = seen.get(folded);
    if (other !== undefined) {
      throw new DownbeatError(
        "DESTINATION_TABLE_INVALID",
        `table ${table}: columns "${other}" and "${name}" are one name to ${dialect.title}; rename one of them in the source's query`,
        { details: { columns: [other, name] } },
      );
    }
    seen.set(folded, name);
  }
};

const newTable = ({ dialect, relation, schema, extra = [], temporary = false }: ShapeRequest): Shape => {
  const columns = schema.columns.map((column) => newColumn(dialect, column));
  const definitions = [...columns.map(({ name, sqlType }) => `${quoteIdentifier(name)} ${sqlType}`), ...extra];
  return {
    insert: schema.columns.map((column, index) => ({ index, name: column.name, type: column.type, sqlType: columns[index]!.sqlType })),
    columns,
    // Columns are nullable whatever the stream says: a later batch may lack them.
    statements: [`create ${temporary ? "temporary " : ""}table ${relation} (${definitions.join(", ")})`],
    changes: [],
  };
};

const newColumn = (dialect: Dialect, { name, type }: Column): TableColumn => {
  dialect.checkName(name);
  return { name, type, sqlType: dialect.sqlType(type, name), required: false };
};

interface Fitted {
  readonly column: TableColumn;
  readonly statement?: Definition;
}

const missing = ({ dialect, relation, table, policy }: ShapeRequest, column: Column): Fitted | undefined => {
  const own = policy(column.name);
  if (own === "discard") return undefined;
  if (own === "freeze") {
    throw mismatch(
      `table ${table} has no column "${column.name}" (${typeName(column.type)}), and its schema is frozen; add the column, or set schema: evolve or schema: discard`,
      { column: column.name, type: typeName(column.type) },
    );
  }
  const added = newColumn(dialect, column);
  return { column: added, statement: `alter table ${relation} add column ${quoteIdentifier(added.name)} ${added.sqlType}` };
};

/** A type that is none of ours (an enum, an address) still takes text: the system itself says what it refuses. */
const takes = (dialect: Dialect, { type: have, sqlType }: TableColumn, want: ColumnType): boolean =>
  have === undefined
    ? want.kind === "string" && dialect.takesText(sqlType)
    : holds(have, want) || (dialect.heldAs !== undefined && holds(have, dialect.heldAs(want)));

/** A column of whole numbers becomes one of floating-point numbers as long as it holds none that would be rounded. */
const unlessRounded =
  ({ relation, table }: ShapeRequest, { name }: TableColumn, alter: Definition): Definition =>
  async (session) => {
    const { rows } = await session.run(`select count(*) as n from ${relation} where ${isRounded(quoteIdentifier(name))}`);
    if (Number(rows[0]?.["n"]) > 0) throw refuseRounding(table, name);
    await define(session, alter);
  };

const present = (request: ShapeRequest, found: TableColumn, { type }: Column): Fitted => {
  const { dialect, relation, table, policy } = request;
  if (takes(dialect, found, type)) return { column: found };
  const mayEvolve = policy(found.name) === "evolve";
  const have = mayEvolve ? found.type : undefined;
  const want = dialect.heldAs?.(type) ?? type;
  const exact = have === undefined ? undefined : widened(have, want);
  const wider = exact ?? (have === undefined ? undefined : roundingDouble(have, want));
  const sqlType = wider === undefined ? undefined : dialect.sqlType(wider, found.name);
  const alter = sqlType === undefined ? undefined : dialect.alterType(relation, found, sqlType);
  const statement = alter === undefined || exact !== undefined ? alter : unlessRounded(request, found, alter);
  if (wider === undefined || sqlType === undefined || statement === undefined) {
    const hint = mayEvolve
      ? "declare its type from the start (from.columns, where the source takes them), cast it (columns.cast, or in a query), or change the table"
      : "declare its type (from.columns, where the source takes them), cast it (columns.cast, or in a query), change the table, or set schema: evolve where it can be widened";
    throw mismatch(`table ${table}: column "${found.name}" is ${found.sqlType} and cannot take ${typeName(type)} without loss; ${hint}`, {
      column: found.name,
      table: found.sqlType,
      stream: typeName(type),
    });
  }
  return { column: { ...found, type: wider, sqlType }, statement };
};
