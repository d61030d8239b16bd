// What every source holds: a few thousand events with columns of all sorts, the same in each run, and which rows a destination must have after each mode.

import type { WriteMode } from "../../connectors/connector.ts";

/** In the order of the texts below; as `columns` of a definition write them. */
export const COLUMNS = {
  id: "int64",
  version: "int32",
  quantity: "int32",
  amount: "decimal(18,4)",
  total: "decimal(30,8)",
  ratio: "float64",
  name: "string",
  note: "string",
  active: "bool",
  day: "date",
  at: "timestamp",
  moment: "timestamptz",
} as const;

export type ColumnName = keyof typeof COLUMNS;
export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly ColumnName[];

/** The values of a row as texts, one form a type, whichever system it lies in. */
export type Texts = Readonly<Record<ColumnName, string | null>>;

/** A row that came to be, or a later version of one; a bad one cannot be read and must become one dead letter. */
export interface Event {
  readonly texts: Texts;
  readonly isBad: boolean;
}

export const EVENTS = 3_000;
/** Where a source ends at first; no moment of `at` lies on both sides of it, nor of the next one. */
export const FIRST_PART = 1_998;
/** From here on every second event is a later version of a row of the first part. */
export const UPDATES_FROM = 2_496;

const WORDS = [
  "plain",
  'Grüße, "quoted"',
  "línea\nnueva",
  "日本語",
  "emoji 🎻",
  "tab\tand ; semicolon",
  "back\\slash",
  "O'Neill, 'x'",
  "",
  " padded ",
];
const BASE_MICROS = Date.UTC(2026, 0, 1) * 1_000;

/** Leaves a column empty in every n-th row. */
const orNull = (index: number, every: number, text: string): string | null => (index % every === 0 ? null : text);

const padded = (value: number, length: number): string => String(value).padStart(length, "0");

const timeText = (micros: number): string =>
  `${new Date(Math.floor(micros / 1_000)).toISOString().slice(0, -1).replace("T", " ")}${padded(micros % 1_000, 3)}`;

const eventOf = (index: number): Event => {
  const isUpdate = index >= UPDATES_FROM && index % 2 === 0;
  const id = isUpdate ? (index - UPDATES_FROM) * 3 + 1 : index + 1;
  const sign = index % 3 === 0 ? "-" : "";
  return {
    isBad: index % 499 === 250 && !isUpdate,
    texts: {
      id: String(id),
      version: isUpdate ? "2" : "1",
      quantity: orNull(index, 7, `${sign}${(index * 7_919) % 100_000}`),
      amount: orNull(index, 11, `${sign}${index + 1}${(index * 104_729) % 1_000_000}.${padded((index * 31) % 10_000, 4)}`),
      total: `${sign}${index + 1}000000000000000.${padded((index * 7_777_777) % 100_000_000, 8)}`,
      // Eighths and sixteenths are exact, and every system writes them alike.
      ratio: orNull(index, 13, `${sign}${index}.0625`),
      name: `${WORDS[index % WORDS.length]} ${index}`,
      note: orNull(index, 3, WORDS[(index * 7) % WORDS.length] ?? ""),
      active: orNull(index, 5, index % 2 === 0 ? "true" : "false"),
      day: orNull(index, 17, new Date(Date.UTC(2026, 0, 1 + (index % 5_000))).toISOString().slice(0, 10)),
      // Three rows share a moment: a chunk may end between them.
      at: timeText(BASE_MICROS + Math.floor(index / 3) * 1_000_007),
      moment: orNull(index, 19, timeText(BASE_MICROS + index * 61_000_013)),
    },
  };
};

const events: readonly Event[] = Array.from({ length: EVENTS }, (_, index) => eventOf(index));

/** How far a source has come: at first; while a load that was killed is not under way again, with new rows; at last, with later versions too. */
export const PARTS = ["first", "grown", "all"] as const;
export type Part = (typeof PARTS)[number];

const ENDS: Readonly<Record<Part, number>> = { first: FIRST_PART, grown: UPDATES_FROM, all: EVENTS };
export const eventsOf = (part: Part): readonly Event[] => events.slice(0, ENDS[part]);

/** Only the last version of each row, as a table has them. */
export const latest = (given: readonly Event[]): readonly Event[] => {
  const byId = new Map<string | null, Event>();
  for (const event of given) byId.set(event.texts.id, event);
  return [...byId.values()];
};

/** Between the values of a row that is written as one text; in no value. */
const SEPARATOR = "\u001f";
export const NULL_TEXT = "∅";

export const lineOf = (texts: Texts): string => COLUMN_NAMES.map((name) => texts[name] ?? NULL_TEXT).join(SEPARATOR);
export const valuesOf = (line: string): readonly string[] => line.split(SEPARATOR);
export const SEPARATOR_CODE = SEPARATOR.charCodeAt(0);

/** What a source that can (or cannot) hold bad rows gives when it holds this part, as lines. */
export interface Expected {
  readonly lines: readonly string[];
  readonly letters: number;
}

export const expected = (given: readonly Event[], mode: WriteMode, canBeBad: boolean): Expected => {
  const good = given.filter(({ isBad }) => !isBad);
  const rows = mode === "merge" ? latest(good) : good;
  return { lines: rows.map(({ texts }) => lineOf(texts)), letters: canBeBad ? given.length - good.length : 0 };
};
