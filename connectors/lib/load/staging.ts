// The temporary table of a load: rows wait there for the commit when they are merged by key, or need a cast that the fast way lacks.

import type { Batch, Column, Schema } from "../../batch.ts";
import type { LoadTarget } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import { quoteIdentifier } from "./names.ts";
import type { InsertColumn, LoadSession, TableColumn } from "./session.ts";
import { defineShape, evolve, shapeTable, type Shape } from "./table-shape.ts";

/** Whether a row says that the one of its key is gone; NULL in batches that do not tell. */
const DELETED: Column = { name: "_downbeat_deleted", type: { kind: "bool" }, nullable: true };

export class Staging {
  readonly #session: LoadSession;
  readonly #target: LoadTarget;
  readonly #relation: string;
  #columns: readonly TableColumn[] | undefined;
  /** From the batch into the temporary table. */
  #into: readonly InsertColumn[] = [];
  /** Columns of the table, by their names there, and of the temporary table, which has the same names. */
  readonly #names = new Map<string, InsertColumn>();
  #hasDeletes = false;
  #waiting = false;

  constructor(session: LoadSession, target: LoadTarget) {
    this.#session = session;
    this.#target = target;
    this.#relation = session.dialect.temporary("_downbeat_chunk");
  }

  /** Whether `prepare` has to define the temporary table, which not every system can within a transaction. */
  lacks(shape: Shape): boolean {
    const own = this.#columns;
    return (
      own === undefined ||
      shape.columns.some(({ name, sqlType }) => !own.some((column) => column.name === name && column.sqlType === sqlType))
    );
  }

  /** `relation` is where rows go at last. */
  async prepare(
    schema: Schema,
    shape: Shape,
    { relation, hasDeletes }: { readonly relation: string; readonly hasDeletes: boolean },
  ): Promise<void> {
    const { dialect } = this.#session;
    if (dialect.temporaryLikeTable === true) await this.#prepareLikeTable(schema, shape, hasDeletes);
    else await this.#prepareForBatch(schema, shape, { relation, hasDeletes });
    for (const column of shape.insert) this.#names.set(dialect.fold(column.name), column);
  }

  /** All columns of the table are there from the start: batches with others of them change nothing in the midst of a transaction. */
  async #prepareLikeTable(schema: Schema, shape: Shape, hasDeletes: boolean): Promise<void> {
    const { dialect } = this.#session;
    const deleted = { ...DELETED, sqlType: dialect.sqlType(DELETED.type, DELETED.name), required: false };
    if (this.lacks(shape)) {
      this.#columns = [...shape.columns, deleted];
      const definitions = this.#columns.map(({ name, sqlType }) => `${quoteIdentifier(name)} ${sqlType}`);
      await this.#session.run(
        `create or replace temporary table ${this.#relation} (${[...definitions, dialect.rowNumber.definition].join(", ")})`,
      );
    }
    this.#hasDeletes ||= hasDeletes;
    this.#into = hasDeletes ? [...shape.insert, { ...deleted, index: schema.columns.length }] : shape.insert;
  }

  async #prepareForBatch(
    schema: Schema,
    shape: Shape,
    { relation, hasDeletes }: { readonly relation: string; readonly hasDeletes: boolean },
  ): Promise<void> {
    const { dialect } = this.#session;
    if (this.#columns !== undefined && !dialect.definesInTransactions) await this.#makeRoom(relation);
    this.#hasDeletes ||= hasDeletes;
    const places = shape.insert.map(({ index }) => index);
    const columns = shape.insert.map(({ index, name }) => ({ ...schema.columns[index]!, name }));
    if (hasDeletes) {
      // Behind the stream's own, as `insert` puts it.
      places.push(schema.columns.length);
      columns.push(DELETED);
    }
    const { definition } = dialect.rowNumber;
    const staged = shapeTable({
      dialect,
      relation: this.#relation,
      table: this.#target.table,
      existing: this.#columns,
      schema: { columns },
      policy: evolve,
      extra: definition === undefined ? [] : [definition],
      temporary: true,
    });
    await defineShape(this.#session, staged);
    this.#columns = staged.columns;
    this.#into = staged.insert.map((column) => ({ ...column, index: places[column.index]! }));
  }

  /** Altering the temporary table would commit the open transaction; dropping it and making another one does not. */
  async #makeRoom(relation: string): Promise<void> {
    await this.flush(relation);
    await this.#session.run(`drop temporary table ${this.#relation}`);
    this.#columns = undefined;
    this.#names.clear();
    this.#hasDeletes = false;
  }

  refuseMissingKeys({ insert }: Shape): void {
    const { mode, keyColumns, newestBy } = this.#target;
    if (mode !== "merge") return;
    const fold = (name: string): string => this.#session.dialect.fold(name);
    const lacking = [...keyColumns, ...(newestBy === undefined ? [] : [newestBy])].filter(
      (key) => !insert.some(({ name }) => fold(name) === fold(key)),
    );
    if (lacking.length === 0) return;
    throw new DownbeatError(
      "DESTINATION_TABLE_INVALID",
      `table ${this.#target.table}: the stream has no column ${lacking.map((key) => `"${key}"`).join(", ")}, which the merge goes by; it has ${insert.map(({ name }) => name).join(", ")}`,
      { details: { missing: lacking } },
    );
  }

  async insert(batch: Batch): Promise<void> {
    this.#waiting = true;
    await this.#session.insert(this.#relation, this.#into, withDeleted(batch), "kept");
  }

  /** Moves what waits into the table, within the open transaction. */
  async flush(relation: string): Promise<void> {
    if (!this.#waiting) return;
    const columns = [...this.#names.values()];
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const values = columns.map((column) => this.#value(column)).join(", ");
    if (this.#target.mode === "merge") await this.#mergeRows(relation, names, values);
    else
      await this.#session.run(
        `insert into ${relation} (${names}) select ${values} from ${this.#relation} as s order by ${this.#rowNumber}`,
      );
    await this.#session.run(this.#session.dialect.emptyTemporary(this.#relation));
    this.#waiting = false;
  }

  get #rowNumber(): string {
    return `s.${this.#session.dialect.rowNumber.column}`;
  }

  #value({ name, type, sqlType }: InsertColumn): string {
    const own = this.#columns?.find((column) => column.name === name)?.sqlType;
    const value = `s.${quoteIdentifier(name)}`;
    return own === sqlType ? value : this.#session.dialect.assign(value, type, sqlType);
  }

  async #mergeRows(relation: string, names: string, values: string): Promise<void> {
    const keys = this.#target.keyColumns.map((key) => this.#names.get(this.#session.dialect.fold(key))!);
    const staged = keys.map(({ name }) => `s.${quoteIdentifier(name)}`);
    const newest = this.#newest();
    await this.#refuseNullKeys(staged);
    const matches = (table: string): string =>
      keys.map((key) => `${table}.${quoteIdentifier(key.name)} = ${this.#value(key)}`).join(" and ");
    const { deleteMatching } = this.#session.dialect;
    await this.#session.run(deleteMatching(relation, this.#relation, (table) => `${matches(table)}${newest.overtakes(table)}`));
    const isWanted = this.#target.newestBy === undefined ? "" : ` and not exists (select 1 from ${relation} as t where ${matches("t")})`;
    const isThere = this.#hasDeletes ? ` and not coalesce(s.${quoteIdentifier(DELETED.name)}, false)` : "";
    await this.#session.run(
      `insert into ${relation} (${names}) select ${values} from (
         select s.*, row_number() over (partition by ${staged.join(", ")} order by ${newest.order}${this.#rowNumber} desc) as _downbeat_rank from ${this.#relation} as s
       ) as s where s._downbeat_rank = 1${isThere}${isWanted}`,
    );
  }

  /** How rows that may be older than those of the table are kept from replacing them: one whose age is unknown replaces none. */
  #newest(): { readonly overtakes: (table: string) => string; readonly order: string } {
    const { newestBy } = this.#target;
    const column = newestBy === undefined ? undefined : this.#names.get(this.#session.dialect.fold(newestBy));
    if (column === undefined) return { overtakes: () => "", order: "" };
    const staged = `s.${quoteIdentifier(column.name)}`;
    return {
      overtakes: (table) => {
        const own = `${table}.${quoteIdentifier(column.name)}`;
        return ` and (${own} <= ${this.#value(column)} or (${own} is null and ${staged} is not null))`;
      },
      order: `${staged} is null, ${staged} desc, `,
    };
  }

  async #refuseNullKeys(staged: readonly string[]): Promise<void> {
    const { rows } = await this.#session.run(
      `select count(*) as n from ${this.#relation} as s where ${staged.map((key) => `${key} is null`).join(" or ")}`,
    );
    const count = Number(rows[0]?.["n"]);
    if (count === 0) return;
    const { table, keyColumns } = this.#target;
    throw new DownbeatError(
      "DESTINATION_DATA_REFUSED",
      `table ${table}: ${count} rows have NULL in a key column (${keyColumns.join(", ")}) and cannot be merged; leave them out in the source's query or choose other key columns`,
      { details: { rows: count, key: keyColumns } },
    );
  }
}

const withDeleted = (batch: Batch): Batch => {
  const { schema, columns, deleted } = batch;
  if (deleted === undefined) return batch;
  return {
    ...batch,
    schema: { columns: [...schema.columns, DELETED] },
    columns: [...columns, { layout: "bytes1", data: deleted, valid: null }],
  };
};
