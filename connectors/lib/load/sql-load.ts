// A load into a transactional SQL system: rows, dead letters, items, receipt and position become visible in one step.

import type { Batch, Position, Schema } from "../../batch.ts";
import type { Load, LoadTarget, ResumePoint, SchemaChange } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { Json } from "../../../core/json.ts";
import { Bookkeeping, fenced, stagingName } from "./bookkeeping.ts";
import { ChunkLetters } from "./chunk-letters.ts";
import { parseTable, quoteTable } from "./names.ts";
import { refuseChanges, refuseKeyless } from "./refusals.ts";
import type { InsertColumn, LoadSession, TableColumn, TableName } from "./session.ts";
import { Staging } from "./staging.ts";
import { defineShape, evolve, policyOf, shapeTable, type Shape, type ShapeRequest } from "./table-shape.ts";
import { withWholeDoubles } from "./whole-doubles.ts";

export const openSqlLoad = async (session: LoadSession, target: LoadTarget): Promise<Load> => {
  try {
    return await SqlLoad.open(session, target);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
};

class SqlLoad implements Load {
  readonly resume: ResumePoint;
  readonly takesParquet: boolean;
  readonly takesCsv: boolean;
  readonly #session: LoadSession;
  readonly #books: Bookkeeping;
  readonly #target: LoadTarget;
  readonly #table: TableName;
  readonly #replaceInto: TableName;
  readonly #staging: Staging;
  readonly #letters: ChunkLetters;
  #seq: number;
  #cursorSeq: number;
  #position: Position | null;
  #shape: { readonly schema: Schema; readonly hasDeletes: boolean; readonly shape: Shape } | undefined;
  #tableColumns: readonly TableColumn[] | undefined;
  /** Columns of floating-point numbers where rows go, by their folded names. */
  #doubles: Set<string> | undefined;
  #chunk = { rows: 0, bytes: 0, deadLetters: 0 };
  /** Where the last batch of the open chunk ends; null = not a place where a chunk may end. */
  #place: Position | null = null;
  #items: string[] = [];

  static async open(session: LoadSession, target: LoadTarget): Promise<SqlLoad> {
    const table = parseTable(target.table, session.dialect);
    refuseKeyless(target);
    const books = new Bookkeeping(session, target);
    await books.prepare();
    const staged: TableName = { schema: session.dialect.stagingSchema(table), name: stagingName(target, target.origin) };
    let row = await books.readLoad();
    // The attempt before died between the commit of its swap and the end of what was staged.
    if (target.mode === "replace" && row?.done === true && !session.dialect.definesInTransactions)
      await session.run(`drop table if exists ${quoteTable(staged)}`);
    if (target.mode === "replace" && row !== undefined && !row.done) {
      const staging = await session.describe(staged);
      if (row.chunks > 0 && staging === undefined) {
        // Somebody dropped what was staged: nothing of this load is left, so it begins anew.
        await books.forget(target.origin);
        row = undefined;
      }
    }
    const cursor = target.incremental ? await books.readCursor() : undefined;
    const fresh = row === undefined || row.chunks === 0;
    const position = target.incremental ? (cursor?.position ?? null) : (row?.position ?? null);
    const load = new SqlLoad(session, books, target, table, staged, {
      resume: {
        done: row !== undefined && (row.done || row.complete),
        newRun: fresh,
        position,
        bounds: row?.bounds,
        rows: row?.rows ?? 0,
        bytes: row?.bytes ?? 0,
        deadLetters: row?.deadLetters ?? 0,
      },
      seq: row?.seq ?? 0,
      cursorSeq: cursor?.seq ?? 0,
    });
    // Everything is committed, only the end is missing: the attempt before died on the last steps.
    if (row !== undefined && row.complete && !row.done) await load.finish();
    return load;
  }

  private constructor(
    session: LoadSession,
    books: Bookkeeping,
    target: LoadTarget,
    table: TableName,
    staged: TableName,
    state: { readonly resume: ResumePoint; readonly seq: number; readonly cursorSeq: number },
  ) {
    this.#session = session;
    this.#books = books;
    this.#target = target;
    this.#table = table;
    this.#replaceInto = staged;
    this.#staging = new Staging(session, target);
    this.#letters = new ChunkLetters(books);
    this.resume = state.resume;
    this.takesParquet = session.takesParquet === true;
    this.takesCsv = session.takesCsv === true;
    this.#seq = state.seq;
    this.#cursorSeq = state.cursorSeq;
    this.#position = state.resume.position;
  }

  async begin(bounds: Json): Promise<void> {
    if (this.#target.mode === "replace") await this.#dropStaleStaging();
    await this.#books.begin(bounds);
    this.#seq = 1;
  }

  async #dropStaleStaging(): Promise<void> {
    for (const origin of await this.#books.unfinishedOrigins()) {
      const stale = { ...this.#replaceInto, name: stagingName(this.#target, origin) };
      await this.#session.defining(quoteTable(stale), async () => {
        await this.#session.run(`drop table if exists ${quoteTable(stale)}`);
        await this.#books.forget(origin);
      });
    }
  }

  write(batch: Batch): Promise<void> {
    return this.#unlessOvertaken(() => this.#write(batch));
  }

  async #write(given: Batch): Promise<void> {
    const batch = await this.#withWholeDoubles(given);
    const insert = this.#isShapeless(batch) ? [] : (await this.#prepare(batch.schema, batch.deleted !== undefined)).insert;
    if (batch.rows > 0) {
      await this.#startTransaction();
      if (this.#isStaged(insert)) await this.#staging.insert(batch);
      else await this.#session.insert(quoteTable(this.#into), insert, batch, "any");
    }
    this.#letters.add(batch);
    this.#items.push(...(batch.items ?? []));
    this.#place = batch.position;
    this.#chunk.rows += batch.rows;
    this.#chunk.bytes += batch.bytes;
    this.#chunk.deadLetters += batch.rejects?.length ?? 0;
    if (this.#letters.areMany) await this.#writeLetters();
  }

  /** A column that has fractions takes whole numbers, too: those of a stream in which none has a fraction today. */
  async #withWholeDoubles(batch: Batch): Promise<Batch> {
    if (batch.schema.columns.every(({ type }) => type.kind !== "int64")) return batch;
    this.#doubles ??= await this.#describeDoubles();
    const doubles = this.#doubles;
    return withWholeDoubles(batch, (name) => doubles.has(this.#session.dialect.fold(name)), this.#target.table);
  }

  async #describeDoubles(): Promise<Set<string>> {
    const doubles = new Set<string>();
    for (const place of new Set([this.#table, this.#into])) this.#addDoubles(doubles, (await this.#session.describe(place)) ?? []);
    return doubles;
  }

  #addDoubles(doubles: Set<string>, columns: readonly TableColumn[]): void {
    for (const { name, type } of columns) if (type?.kind === "float64") doubles.add(this.#session.dialect.fold(name));
  }

  /** Without rows, dead letters of which none can be read and messages whose columns show in them alone say nothing of columns. */
  #isShapeless({ rows, letters, schema }: Batch): boolean {
    const { mode, keyColumns } = this.#target;
    const { fold } = this.#session.dialect;
    // A stream that shows its columns by its rows alone, and has none yet, is no reason to make a table; what replaces one does so as a whole.
    if (rows === 0 && schema.columns.length === 0 && mode !== "replace") return true;
    const lacksKey = (): boolean => keyColumns.some((key) => !schema.columns.some(({ name }) => fold(name) === fold(key)));
    return rows === 0 && (letters !== undefined || (mode === "merge" && lacksKey()));
  }

  /** Where rows go at last: the table itself, or what will take its place. */
  get #into(): TableName {
    return this.#target.mode === "replace" ? this.#replaceInto : this.#table;
  }

  #isStaged(insert: Shape["insert"]): boolean {
    return this.#target.mode === "merge" || !this.#session.canInsert(insert);
  }

  /** Creates or evolves the table when a schema comes that was not seen before. */
  async #prepare(schema: Schema, hasDeletes: boolean): Promise<Shape> {
    const last = this.#shape;
    if (last !== undefined && last.hasDeletes === hasDeletes && isSameSchema(last.schema, schema)) return last.shape;
    if (hasDeletes) refuseChanges(this.#target);
    await this.#session.settle();
    const shape = await this.#define(schema);
    if (this.#isStaged(shape.insert)) await this.#prepareStaging(schema, shape, hasDeletes);
    this.#shape = { schema, hasDeletes, shape };
    return shape;
  }

  async #define(schema: Schema): Promise<Shape> {
    const { dialect } = this.#session;
    const relation = quoteTable(this.#into);
    const accepted = await this.#acceptedBy(schema);
    const existing = this.#tableColumns ?? (await this.#session.describe(this.#into));
    const request = { dialect, relation, table: this.#target.table, existing, schema: accepted.schema, policy: accepted.policy };
    // Looked at outside the lock first: in the ordinary case nothing is to be done.
    let shape = shapeTable(request);
    this.#staging.refuseMissingKeys(shape);
    if (shape.statements.length === 0) await this.#noteChanges(shape.changes);
    else {
      await this.#defining(relation, async () => {
        if (existing === undefined) await this.#session.ensureSchema(this.#into.schema);
        shape = shapeTable({ ...request, existing: await this.#session.describe(this.#into) });
        await this.#noteChanges(shape.changes);
        await defineShape(this.#session, shape);
        if (existing === undefined && shape.statements.length > 0) await this.#indexKeys(relation, shape.columns);
      });
    }
    this.#tableColumns = shape.columns;
    if (this.#doubles !== undefined) this.#addDoubles(this.#doubles, shape.columns);
    return { ...shape, insert: shape.insert.map((column) => ({ ...column, index: accepted.places[column.index]! })) };
  }

  /** Before they are made: where definitions commit, a death in between would leave them untold. Of a replace, those of its target are told. */
  async #noteChanges(changes: readonly SchemaChange[]): Promise<void> {
    if (this.#target.mode !== "replace") await this.#books.addSchemaChanges(changes);
  }

  async #prepareStaging(schema: Schema, shape: Shape, hasDeletes: boolean): Promise<void> {
    const prepare = (): Promise<void> => this.#staging.prepare(schema, shape, { relation: quoteTable(this.#into), hasDeletes });
    if (this.#session.dialect.temporaryLikeTable === true && this.#staging.lacks(shape)) await this.#betweenChunks(prepare);
    else await prepare();
  }

  #defining(relation: string, run: () => Promise<void>): Promise<void> {
    return this.#betweenChunks(() => this.#session.defining(relation, run));
  }

  /** Where defining tables ends the transaction, the open chunk ends here: it is committed as a whole, or undone. */
  async #betweenChunks(define: () => Promise<void>): Promise<void> {
    const cutsChunk = this.#session.inTransaction && !this.#session.dialect.definesInTransactions;
    const place = this.#place;
    if (cutsChunk && place === null) await this.#session.rollback();
    else if (cutsChunk) await this.commit(place);
    await define();
    if (!cutsChunk || place !== null) return;
    throw new DownbeatError(
      "DESTINATION_UNAVAILABLE",
      `table ${this.#target.table}: the stream's columns changed where it has no place to go on from, and ${this.#session.dialect.title} cannot alter a table within a transaction; the table has been altered now, try again`,
    );
  }

  async #indexKeys(relation: string, columns: readonly TableColumn[]): Promise<void> {
    const { mode, keyColumns } = this.#target;
    if (mode !== "merge") return;
    const { dialect } = this.#session;
    const keys = keyColumns.flatMap((key) => columns.filter(({ name }) => dialect.fold(name) === dialect.fold(key)));
    const statement = dialect.keyIndex(relation, keys);
    if (statement !== undefined) await this.#session.run(statement);
  }

  /** Staging of a replace takes what its target would take by the policy; everything else is asked of the table itself. */
  async #acceptedBy(schema: Schema): Promise<{ schema: Schema; places: readonly number[]; policy: ShapeRequest["policy"] }> {
    const all = schema.columns.map((_, place) => place);
    const { mode, table } = this.#target;
    const policy = policyOf(this.#target, this.#session.dialect);
    if (mode !== "replace") return { schema, places: all, policy };
    const existing = await this.#session.describe(this.#table);
    if (existing === undefined) return { schema, places: all, policy: evolve };
    const { dialect } = this.#session;
    const { insert, changes } = shapeTable({ dialect, relation: quoteTable(this.#table), table, existing, schema, policy });
    await this.#books.addSchemaChanges(changes.filter(({ change }) => change === "left_out"));
    const places = insert.map(({ index }) => index);
    return { schema: { columns: places.map((place) => schema.columns[place]!) }, places, policy: evolve };
  }

  async #startTransaction(): Promise<void> {
    if (!this.#session.inTransaction) await this.#session.begin("chunk");
  }

  async #writeLetters(): Promise<void> {
    await this.#startTransaction();
    await this.#session.settle();
    await this.#letters.writeLeft();
  }

  commit(position: Position | null): Promise<void> {
    return this.#unlessOvertaken(() => this.#commit(position));
  }

  /** The staging of a replace goes with its swap, and a transaction may be ended by whoever was faster: an attempt that was overtaken has not failed but lost. */
  async #unlessOvertaken(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      const isOurs = error instanceof DownbeatError && error.code !== "LOAD_FENCED";
      const mayBeOvertaken = isOurs && (this.#target.mode === "replace" || error.details?.["conflict"] !== undefined);
      throw mayBeOvertaken && (await this.#isOvertaken()) ? fenced(this.#target, error) : error;
    }
  }

  async #isOvertaken(): Promise<boolean> {
    try {
      if (this.#session.inTransaction) await this.#session.rollback();
      return (await this.#books.readLoad())?.seq !== this.#seq;
    } catch {
      // Nobody can be asked: what failed first says why.
      return false;
    }
  }

  async #commit(position: Position | null): Promise<void> {
    const { failpoint, incremental } = this.#target;
    await this.#startTransaction();
    await this.#session.settle();
    await failpoint("before-commit");
    await this.#staging.flush(quoteTable(this.#into));
    await this.#writeLetters();
    await this.#books.addItems(this.#items);
    await failpoint("between-rows-and-cursor");
    await this.#books.advance(this.#seq, { start: this.#position, ...this.#chunk }, position);
    await this.#letters.settleReplayed();
    const movesCursor = incremental && position !== null;
    if (movesCursor) await this.#books.moveCursor(this.#cursorSeq, position);
    await failpoint("within-commit");
    await this.#session.commit();
    await failpoint("after-commit");
    this.#seq += 1;
    if (movesCursor) this.#cursorSeq += 1;
    this.#position = position;
    this.#chunk = { rows: 0, bytes: 0, deadLetters: 0 };
    this.#items = [];
    this.#place = null;
  }

  finish(): Promise<void> {
    return this.#unlessOvertaken(() => this.#finish());
  }

  async #finish(): Promise<void> {
    if (this.#session.inTransaction)
      throw new DownbeatError("INTERNAL", `load ${this.#target.key}: finish with an open chunk; commit it first`);
    const staged = this.#target.mode === "replace" ? await this.#session.describe(this.#replaceInto) : undefined;
    if (staged !== undefined) await this.#target.failpoint("between-staging-and-swap");
    const { definesInTransactions } = this.#session.dialect;
    const fitted = staged === undefined || definesInTransactions ? null : await this.#fitTable(staged);
    await this.#session.begin("end");
    // First of all: whoever was overtaken must learn that, and not that staging is gone.
    await this.#books.end(this.#seq);
    if (staged !== undefined) {
      const columns = definesInTransactions ? await this.#fitTable(staged) : fitted;
      await this.#session.swap(this.#replaceInto, this.#table, columns);
    }
    await this.#session.commit();
    this.#seq += 1;
    if (staged !== undefined && !definesInTransactions) await this.#session.run(`drop table if exists ${quoteTable(this.#replaceInto)}`);
  }

  /** Makes the table fit what was staged: the columns that it goes into, or null where staging can become the table. */
  async #fitTable(staged: readonly TableColumn[]): Promise<readonly InsertColumn[] | null> {
    const { dialect } = this.#session;
    const relation = quoteTable(this.#table);
    const columns = staged.map(({ name, type }) => ({ name, type: type!, nullable: true }));
    let insert: readonly InsertColumn[] | null = null;
    await this.#session.defining(relation, async () => {
      const existing = await this.#session.describe(this.#table);
      if (existing === undefined) await this.#session.ensureSchema(this.#table.schema);
      if (existing === undefined && dialect.definesInTransactions) return;
      const { table } = this.#target;
      const policy = policyOf(this.#target, dialect);
      const shape = shapeTable({ dialect, relation, table, existing, schema: { columns }, policy });
      await this.#books.addSchemaChanges(shape.changes);
      await defineShape(this.#session, shape);
      insert = shape.insert;
    });
    return insert;
  }

  seen(items: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#books.seenItems(items);
  }

  schemaChanges(): Promise<readonly SchemaChange[]> {
    return this.#books.schemaChanges();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#session.inTransaction) {
        await this.#session.settle().catch(() => undefined);
        await this.#session.rollback();
      }
    } catch {
      // A connection that is broken has rolled back by itself.
    } finally {
      await this.#session[Symbol.asyncDispose]();
    }
  }
}

const isSameSchema = (left: Schema, right: Schema): boolean =>
  left === right ||
  (left.columns.length === right.columns.length &&
    left.columns.every(
      (column, place) => column === right.columns[place] || JSON.stringify(column) === JSON.stringify(right.columns[place]),
    ));
