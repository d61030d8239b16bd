// What a transactional SQL system gives so that loads can be written into it: its dialect, and a session for one load.

import type { Batch, ColumnType } from "../../batch.ts";

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** A column of an existing table. */
export interface TableColumn {
  readonly name: string;
  /** As the system writes it. */
  readonly sqlType: string;
  /** The logical type whose values it holds without loss; undefined = none of ours. */
  readonly type: ColumnType | undefined;
  /** Must be given a value with every row: NOT NULL without a default. */
  readonly required: boolean;
  /** Defaults and the like, where the system wants them repeated when the type is altered. */
  readonly attributes?: string;
}

/** A column of the batch on its way into a column of a table. */
export interface InsertColumn {
  /** Place in the batch. */
  readonly index: number;
  readonly name: string;
  readonly type: ColumnType;
  /** The table column's own type. */
  readonly sqlType: string;
}

/** How Downbeat's own tables are written. */
export interface OwnTables {
  table(name: string): TableName;
  /** Types of texts of any length, which compare byte by byte, and of moments. */
  readonly text: string;
  readonly moment: string;
  /** The moment at hand, to the microsecond. */
  readonly now: string;
  /** The bytes of the longest text that a column takes, where there is a limit. */
  readonly longestText?: number;
  /** Gives a text that no other row has. */
  readonly newId: string;
  /** Whether a column's default gives each row its own: an older build of Downbeat relies on that. */
  readonly newIdAsDefault?: false;
  /** What a table definition says so that no two rows share these columns, and a row is found by them. */
  unique(texts: readonly string[], numbers?: readonly string[]): string;
  /** An INSERT of rows of expressions. `key`: no two rows share these columns, one that is there already stays as it is, and does not count as changed. */
  insert(table: string, columns: readonly string[], rows: readonly (readonly string[])[], key?: readonly string[]): string;
}

export interface Dialect {
  /** For messages: "PostgreSQL". */
  readonly title: string;
  readonly defaultSchema: string;
  readonly ownTables: OwnTables;
  /** Whether what defines tables is part of a transaction; other systems commit the open one first. */
  readonly definesInTransactions: boolean;
  /** Whether temporary tables, too, are defined only between transactions: they are then made like the table that their rows go to. */
  readonly temporaryLikeTable?: boolean;
  /** Where the staging table of a replace lies, seen from its target. */
  stagingSchema(target: TableName): string;
  /** Throws DESTINATION_TABLE_INVALID for names that the system cannot hold. */
  checkName(name: string): void;
  /** Names that differ only by what this takes away are one name. */
  fold(name: string): string;
  /** The SQL type that holds every value of a logical type. Throws DESTINATION_TYPE_UNSUPPORTED naming the column. */
  sqlType(type: ColumnType, column: string): string;
  /** The type by which a system that has none for a logical type holds its values all the same. */
  heldAs?(type: ColumnType): ColumnType;
  /** Whether a column of a type that is none of ours takes text and refuses what it cannot hold, without cutting or rounding. */
  takesText(sqlType: string): boolean;
  /** A table that lives as long as the session. */
  temporary(name: string): string;
  /** Takes all rows out of such a table, within the open transaction. */
  emptyTemporary(relation: string): string;
  /** Definition of a column that numbers rows in the order in which they came, where the system has none of its own. */
  readonly rowNumber: { readonly column: string; readonly definition?: string };
  /** The index on its key that a table which merges write into gets when it is created; undefined = it would not help. */
  keyIndex(relation: string, columns: readonly TableColumn[]): string | undefined;
  /** Deletes rows of `relation` that match rows of `other`, called s. `condition` is told what `relation` is called. */
  deleteMatching(relation: string, other: string, condition: (table: string) => string): string;
  /** An expression of a logical type, made fit to be inserted into a column: never by a cast that cuts or rounds. */
  assign(expression: string, type: ColumnType, sqlType: string): string;
  /** Undefined: the system cannot make that of the column. */
  alterType(relation: string, column: TableColumn, sqlType: string): Definition | undefined;
}

/** A step of defining a table: a statement, or what takes several and looks in between. */
export type Definition = string | ((session: LoadSession) => Promise<void>);

export type SqlParam = string | number | boolean | null;

export interface SqlResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly changed: number;
}

export type RowOrder = "kept" | "any";

/** One connection for one load. Errors come out as DownbeatErrors. */
export interface LoadSession extends AsyncDisposable {
  readonly dialect: Dialect;
  /** Whether `insert` takes batches that name rows of Parquet files, or CSV files. */
  readonly takesParquet?: boolean;
  readonly takesCsv?: boolean;
  readonly inTransaction: boolean;
  /** `end`: what this transaction commits, and all before it, must outlive a crash of the server; chunks only must not be torn. */
  begin(kind: "chunk" | "end"): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** One statement with parameters $1, $2, … */
  run(sql: string, params?: readonly SqlParam[]): Promise<SqlResult>;
  describe(table: TableName): Promise<readonly TableColumn[] | undefined>;
  ensureSchema(name: string): Promise<void>;
  /** Runs statements that define tables so that concurrent loads do not trip over each other, in the open transaction or in one of their own. */
  defining(table: string, run: () => Promise<void>): Promise<void>;
  /** Whether `insert` can put these columns straight into their table. */
  canInsert(columns: readonly InsertColumn[]): boolean;
  /**
   * Takes a batch over; resolves when the next one is welcome. A failure may come out of a later call.
   * `order`: whether rows are numbered as they come, or may lie in the table in any order.
   */
  insert(relation: string, columns: readonly InsertColumn[], batch: Batch, order: RowOrder): Promise<void>;
  /** Waits until all inserts have ended. */
  settle(): Promise<void>;
  /**
   * Puts staging's rows in the place of the target's within the open transaction, keeping what depends on the target; null: there is none yet, and staging becomes it.
   * Staging is gone after it, but where definitions are not part of transactions the caller drops it.
   */
  swap(staging: TableName, target: TableName, columns: readonly InsertColumn[] | null): Promise<void>;
}
