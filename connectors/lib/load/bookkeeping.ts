// Downbeat's own tables in a destination: how far each load is, receipts of its chunks, items taken in, dead letters.

import { createHash, randomUUID } from "node:crypto";
import type { Position, Reject } from "../../batch.ts";
import type { LoadTarget, SchemaChange } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import type { Json } from "../../../core/json.ts";
import { quoteTable } from "./names.ts";
import { definitions, type OwnTable } from "./own-tables.ts";
import type { LoadSession, OwnTables, SqlParam } from "./session.ts";

export interface LoadRow {
  readonly seq: number;
  readonly position: Position | null;
  readonly bounds: Json;
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
  readonly chunks: number;
  /** The whole stream is committed; a replace still has to swap. */
  readonly complete: boolean;
  readonly done: boolean;
}

export interface CursorRow {
  readonly seq: number;
  readonly position: Position | null;
}

/** A reject whose row is a dead letter already. */
export type RenewedLetter = Reject & Required<Pick<Reject, "letter">>;

export interface Chunk {
  readonly start: Position | null;
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

export const fenced = (target: LoadTarget, cause?: unknown): DownbeatError =>
  new DownbeatError(
    "LOAD_FENCED",
    `load ${target.key} of ${target.origin}: another attempt or run has moved this load on meanwhile; what it committed stands, this attempt's open chunk is undone`,
    { details: { key: target.key, origin: target.origin }, cause },
  );

const parse = (text: unknown): Json => (typeof text === "string" ? (JSON.parse(text) as Json) : null);
const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);
const jsonText = (value: Json): string | null => (value === null ? null : JSON.stringify(value));

/** All statements of one load on the bookkeeping tables. */
export class Bookkeeping {
  readonly #session: LoadSession;
  readonly #target: LoadTarget;

  constructor(session: LoadSession, target: LoadTarget) {
    this.#session = session;
    this.#target = target;
  }

  /** Creates what is missing: in the ordinary case one look and nothing else. */
  async prepare(): Promise<void> {
    const { ownTables } = this.#session.dialect;
    const last = ownTables.table("schema_changes");
    if ((await this.#session.describe(last)) !== undefined) return;
    await this.#session.defining(quoteTable(last), async () => {
      await this.#session.ensureSchema(last.schema);
      for (const statement of definitions(ownTables, (table) => this.#named(table))) await this.#session.run(statement);
      // Dead letters had no ids at first.
      const letters = await this.#session.describe(ownTables.table("dead_letters"));
      if (letters?.some(({ name }) => name === "id") !== true)
        await this.#session.run(`alter table ${this.#named("dead_letters")} add column "id" ${ownTables.text}`);
    });
  }

  get #own(): OwnTables {
    return this.#session.dialect.ownTables;
  }

  get #now(): string {
    return this.#own.now;
  }

  #named(table: OwnTable): string {
    return quoteTable(this.#own.table(table));
  }

  async readLoad(): Promise<LoadRow | undefined> {
    const { rows } = await this.#session.run(
      `select "seq", "position", "bounds", "rows", "bytes", "dead_letters", "chunks", "complete", "done" from ${this.#named("loads")} where "key" = $1 and "origin" = $2`,
      [this.#target.key, this.#target.origin],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    return {
      seq: Number(row["seq"]),
      position: parse(row["position"]),
      bounds: parse(row["bounds"]),
      rows: Number(row["rows"]),
      bytes: Number(row["bytes"]),
      deadLetters: Number(row["dead_letters"]),
      chunks: Number(row["chunks"]),
      complete: row["complete"] === true,
      done: row["done"] === true,
    };
  }

  async readCursor(): Promise<CursorRow | undefined> {
    const { rows } = await this.#session.run(`select "seq", "position" from ${this.#named("cursors")} where "key" = $1`, [
      this.#target.key,
    ]);
    const [row] = rows;
    return row === undefined ? undefined : { seq: Number(row["seq"]), position: parse(row["position"]) };
  }

  async begin(bounds: Json): Promise<void> {
    const { key, origin, table, mode } = this.#target;
    const columns = ["key", "origin", "seq", "table_name", "mode", "position", "bounds", "rows", "bytes", "dead_letters", "chunks"];
    const values = ["$1", "$2", "1", "$3", "$4", "null", "$5", "0", "0", "0", "0"];
    const changed = await this.#fenceOff(
      this.#own.insert(
        this.#named("loads"),
        [...columns, "complete", "done", "started_at", "updated_at"],
        [[...values, "false", "false", this.#now, this.#now]],
        ["key", "origin"],
      ),
      [key, origin, table, mode, JSON.stringify(bounds)],
    );
    if (changed !== 1) await this.#yield();
  }

  /** Moves the load on within the open transaction; LOAD_FENCED when it is not where it was left. */
  async advance(seq: number, chunk: Chunk, position: Position | null): Promise<void> {
    const { key, origin } = this.#target;
    const changed = await this.#fenceOff(
      `update ${this.#named("loads")} set "seq" = "seq" + 1, "position" = coalesce($4, "position"), "rows" = "rows" + $5, "bytes" = "bytes" + $6,
         "dead_letters" = "dead_letters" + $7, "chunks" = "chunks" + 1, "complete" = $8, "updated_at" = ${this.#now}
       where "key" = $1 and "origin" = $2 and "seq" = $3`,
      [key, origin, seq, jsonText(position), chunk.rows, chunk.bytes, chunk.deadLetters, position === null],
    );
    if (changed !== 1) await this.#yield();
    await this.#session.run(
      this.#own.insert(
        this.#named("receipts"),
        ["key", "origin", "seq", "start_hash", "rows", "bytes", "dead_letters", "committed_at"],
        [["$1", "$2", "$3", "$4", "$5", "$6", "$7", this.#now]],
      ),
      [key, origin, seq, hashOf(chunk.start), chunk.rows, chunk.bytes, chunk.deadLetters],
    );
  }

  /** Moves the cursor that later runs go on from; it must be where this load found it. */
  async moveCursor(seq: number, position: Position): Promise<void> {
    const { key, origin } = this.#target;
    const changed =
      seq === 0
        ? await this.#fenceOff(
            this.#own.insert(
              this.#named("cursors"),
              ["key", "position", "origin", "seq", "updated_at"],
              [["$1", "$2", "$3", "1", this.#now]],
              ["key"],
            ),
            [key, JSON.stringify(position), origin],
          )
        : await this.#fenceOff(
            `update ${this.#named("cursors")} set "position" = $2, "origin" = $3, "seq" = "seq" + 1, "updated_at" = ${this.#now} where "key" = $1 and "seq" = $4`,
            [key, JSON.stringify(position), origin, seq],
          );
    if (changed !== 1) await this.#yield();
  }

  async end(seq: number): Promise<void> {
    const { key, origin } = this.#target;
    const changed = await this.#fenceOff(
      `update ${this.#named("loads")} set "seq" = "seq" + 1, "complete" = true, "done" = true, "updated_at" = ${this.#now} where "key" = $1 and "origin" = $2 and "seq" = $3`,
      [key, origin, seq],
    );
    if (changed !== 1) await this.#yield();
  }

  /** Other origins' loads of this key that never ended. */
  async unfinishedOrigins(): Promise<readonly string[]> {
    const { rows } = await this.#session.run(
      `select "origin" from ${this.#named("loads")} where "key" = $1 and "origin" <> $2 and "mode" = 'replace' and not "done"`,
      [this.#target.key, this.#target.origin],
    );
    return rows.map((row) => String(row["origin"]));
  }

  async forget(origin: string): Promise<void> {
    await this.#session.run(`delete from ${this.#named("loads")} where "key" = $1 and "origin" = $2`, [this.#target.key, origin]);
    await this.#session.run(`delete from ${this.#named("receipts")} where "key" = $1 and "origin" = $2`, [this.#target.key, origin]);
  }

  async addItems(items: readonly string[]): Promise<void> {
    const { key, origin } = this.#target;
    await this.#insertRows(
      "items",
      ["key", "item", "origin"],
      items.map((item) => [key, item, origin]),
      { unique: ["key", "item"] },
    );
  }

  /** Those that are noted down already stay as they are. */
  async addSchemaChanges(changes: readonly SchemaChange[]): Promise<void> {
    const { key, origin, table } = this.#target;
    await this.#insertRows(
      "schema_changes",
      ["key", "origin", "table_name", "column_name", "change", "type_before", "type_after", "at"],
      changes.map(({ column, change, before, after }) => [key, origin, table, column, change, before, after]),
      { last: [this.#now], unique: ["key", "origin", "column_name", "change"] },
    );
  }

  /** Of this origin. */
  async schemaChanges(): Promise<readonly SchemaChange[]> {
    const { rows } = await this.#session.run(
      `select "column_name", "change", "type_before", "type_after" from ${this.#named("schema_changes")} where "key" = $1 and "origin" = $2 order by "at", "column_name"`,
      [this.#target.key, this.#target.origin],
    );
    return rows.map((row) => ({
      column: String(row["column_name"]),
      change: String(row["change"]) as SchemaChange["change"],
      before: textOrNull(row["type_before"]),
      after: textOrNull(row["type_after"]),
    }));
  }

  async addDeadLetters(rejects: readonly Reject[]): Promise<void> {
    const { key, origin } = this.#target;
    await this.#insertRows(
      "dead_letters",
      ["id", "key", "origin", "place", "code", "reason", "raw", "at"],
      rejects.map(({ where, code, reason, raw }) => [
        randomUUID(),
        key,
        origin,
        ...[where, code, reason, raw].map((text) => this.#fit(text)),
      ]),
      { last: [this.#now] },
    );
  }

  /** Of dead letters whose rows are in the open transaction. Whoever else has taken one of them was first, and this one does not double it. */
  async removeLetters(ids: readonly string[]): Promise<void> {
    for (const part of slices(ids)) {
      const places = part.map((_, place) => `$${place + 1}`).join(", ");
      await this.#changeLetters(`delete from ${this.#named("dead_letters")} where "id" in (${places})`, part, part.length);
    }
  }

  /** Of dead letters that were tried again in vain: the newer reason, and no text where the task hides columns by now. */
  async renewLetters(rejects: readonly RenewedLetter[]): Promise<void> {
    for (const isHidden of [false, true]) {
      for (const part of slices(rejects.filter(({ raw }) => (raw === "") === isHidden))) {
        const params: string[] = [];
        const param = (text: string): string => `$${params.push(this.#fit(text))}`;
        const byId = (value: (reject: RenewedLetter) => string): string =>
          `case "id" ${part.map((reject) => `when ${param(reject.letter)} then ${param(value(reject))}`).join(" ")} end`;
        const set = [`"code" = ${byId(({ code }) => code)}`, `"reason" = ${byId(({ reason }) => reason)}`, `"at" = ${this.#now}`];
        if (isHidden) set.push(`"raw" = ''`);
        const ids = part.map(({ letter }) => param(letter)).join(", ");
        await this.#changeLetters(
          `update ${this.#named("dead_letters")} set ${set.join(", ")} where "id" in (${ids})`,
          params,
          part.length,
        );
      }
    }
  }

  /** A text column may not be able to hold a NUL, or all of a long text; a letter for people does without. */
  #fit(text: string): string {
    const { longestText = Number.POSITIVE_INFINITY } = this.#own;
    const held = text.replaceAll("\0", "�");
    if (Buffer.byteLength(held) <= longestText) return held;
    // Decoding as a stream leaves out a character that was cut in its midst.
    return new TextDecoder().decode(Buffer.from(held).subarray(0, longestText), { stream: true });
  }

  async #changeLetters(sql: string, params: readonly SqlParam[], count: number): Promise<void> {
    const taken = new DownbeatError(
      "SOURCE_CHANGED",
      `load ${this.#target.key}: another replay took some of the same dead letters first; this attempt's open chunk is undone, and the next one tries those that are left`,
    );
    const changed = await this.#fenceOff(sql, params, taken);
    if (changed !== count) await this.#yield(taken);
  }

  async seenItems(items: readonly string[]): Promise<ReadonlySet<string>> {
    const seen = new Set<string>();
    for (const part of slices([...new Set(items)])) {
      const places = part.map((_, place) => `$${place + 2}`).join(", ");
      const { rows } = await this.#session.run(`select "item" from ${this.#named("items")} where "key" = $1 and "item" in (${places})`, [
        this.#target.key,
        ...part,
      ]);
      for (const row of rows) seen.add(String(row["item"]));
    }
    return seen;
  }

  async #insertRows(
    table: OwnTable,
    columns: readonly string[],
    rows: readonly (readonly SqlParam[])[],
    { last = [], unique }: { readonly last?: readonly string[]; readonly unique?: readonly string[] },
  ): Promise<void> {
    for (const part of slices(rows)) {
      let place = 0;
      const values = part.map((row) => [...row.map(() => `$${(place += 1)}`), ...last]);
      await this.#session.run(this.#own.insert(this.#named(table), columns, values, unique), part.flat());
    }
  }

  /** Systems that refuse concurrent changes of a row instead of waiting say so as a conflict: the other one was first. */
  async #fenceOff(sql: string, params: readonly SqlParam[], lost = fenced(this.#target)): Promise<number> {
    try {
      return (await this.#session.run(sql, params)).changed;
    } catch (error) {
      if (error instanceof DownbeatError && error.details?.["conflict"] === true) return this.#yield(lost);
      throw error;
    }
  }

  /** What a lost attempt holds must not keep the one that has won waiting. */
  async #yield(lost = fenced(this.#target)): Promise<never> {
    if (this.#session.inTransaction) await this.#session.rollback().catch(() => undefined);
    throw lost;
  }
}

const SLICE = 500;

const slices = <T>(rows: readonly T[]): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(rows.length / SLICE) }, (_, index) => rows.slice(index * SLICE, (index + 1) * SLICE));

const hashOf = (position: Position | null): string => createHash("sha256").update(JSON.stringify(position)).digest("hex").slice(0, 32);

/** The staging table of a replace: one for each load, found again by a later attempt. */
export const stagingName = (target: LoadTarget, origin: string): string =>
  `_downbeat_${createHash("sha256").update(`${target.key}\n${origin}`).digest("hex").slice(0, 24)}`;
