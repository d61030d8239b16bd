// Records of a tap as batches of columns, and how much was gathered since the last place to go on from.

import type { Batch, Column, Position, Reject } from "../../batch.ts";
import { inferColumns } from "../infer.ts";
import { fromRows, rawText, type Row } from "../rows.ts";

/** Rows are objects in memory until they are columns, so a batch of them is smaller than others. */
const MOST_ROWS = 20_000;
const MOST_BYTES = 16 * 1024 * 1024;
/** A state sooner than that is no reason to end a batch: many taps write one for every page. */
const ENOUGH_ROWS = 10_000;
const ENOUGH_MS = 30_000;

export class RecordBatches {
  readonly #stream: string;
  #described: readonly Column[];
  #names: ReadonlySet<string>;
  /** Keys that records have and the schema does not, with what their values tell of them. */
  #further: readonly Column[] = [];
  #all: readonly Column[];
  #rows: Row[] = [];
  #places: number[] = [];
  #rejects: Reject[] = [];
  #foreign: Row[] = [];
  #bytes = 0;
  #records = 0;
  #sincePosition = 0;
  #positionAt = performance.now();

  constructor(stream: string, columns: readonly Column[]) {
    this.#stream = stream;
    this.#described = columns;
    this.#names = new Set(columns.map(({ name }) => name));
    this.#all = columns;
  }

  /** From the next record on. To be called when nothing is pending. */
  describe(columns: readonly Column[]): void {
    this.#described = columns;
    this.#names = new Set(columns.map(({ name }) => name));
    this.#further = this.#further.filter(({ name }) => !this.#names.has(name));
    this.#all = [...columns, ...this.#further];
  }

  add(record: unknown, bytes: number): void {
    this.#records += 1;
    this.#bytes += bytes;
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      this.#reject("is not a JSON object", rawText(record));
      return;
    }
    const row = record as Row;
    this.#rows.push(row);
    this.#places.push(this.#records);
    const foreign = Object.entries(row).filter(([name]) => !this.#names.has(name));
    if (foreign.length > 0) this.#foreign.push(Object.fromEntries(foreign));
  }

  /** A record that could not be read at all. */
  addUnreadable(reason: string, raw: string): void {
    this.#records += 1;
    this.#bytes += raw.length;
    this.#reject(reason, rawText(raw));
  }

  #reject(reason: string, raw: string): void {
    this.#rejects.push({ where: this.#where(this.#records), code: "SOURCE_DATA_INVALID", reason, raw });
  }

  #where(record: number): string {
    return `record ${record} of ${this.#stream}`;
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0 && this.#rejects.length === 0;
  }

  get isFull(): boolean {
    return this.#rows.length + this.#rejects.length >= MOST_ROWS || this.#bytes >= MOST_BYTES;
  }

  /** Whether a place to go on from is worth a batch. */
  get isDue(): boolean {
    return (
      this.#sincePosition + this.#rows.length + this.#rejects.length >= ENOUGH_ROWS || performance.now() - this.#positionAt >= ENOUGH_MS
    );
  }

  take(position: Position | null): Batch {
    if (this.#foreign.length > 0) {
      const further = inferColumns(this.#foreign, this.#further);
      // The same columns stay the same object: destinations compare by identity.
      if (further !== this.#further) this.#all = [...this.#described, ...further];
      this.#further = further;
    }
    const places = this.#places;
    const batch = fromRows(this.#all, this.#rows, {
      position,
      rejects: this.#rejects,
      areParsedJson: true,
      where: (index) => this.#where(places[index] ?? index + 1),
    });
    if (position === null) this.#sincePosition += this.#rows.length + this.#rejects.length;
    else {
      this.#sincePosition = 0;
      this.#positionAt = performance.now();
    }
    this.#rows = [];
    this.#places = [];
    this.#rejects = [];
    this.#foreign = [];
    this.#bytes = 0;
    return batch;
  }
}
