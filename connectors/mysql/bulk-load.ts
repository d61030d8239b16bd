// Batches into a table: by LOAD DATA LOCAL where the server takes it, else by prepared INSERTs of many rows. Both write values by text-fields.ts.
// https://mariadb.com/kb/en/load-data-infile/

import { Readable } from "node:stream";
import { DownbeatError } from "../../core/errors.ts";
import type { Batch, TextVector } from "../batch.ts";
import { quoteIdentifier } from "../lib/load/names.ts";
import type { InsertColumn } from "../lib/load/session.ts";
import { FieldText, type FieldStyle, loadField } from "../lib/text-fields.ts";
import { encodeRows, type RowStyle } from "../lib/text-rows.ts";
import type { MysqlClient, MysqlParam } from "./client.ts";

/** Of the file that the server reads, sent as one packet. */
const PIECE_BYTES = 256 * 1_024;
/** A prepared statement has 16 bits for the number of its parameters. */
const MOST_PARAMS = 65_535;
const MOST_ROWS = 1_024;
/** Beyond its bytes a parameter takes at most a length, a type and a bit. */
const PARAM_OVERHEAD = 12;
const MOST_STATEMENT_BYTES = 8 * 1_024 * 1_024;

const PARAM_STYLE: FieldStyle = { title: "MySQL", texts: "plain", booleans: ["0", "1"], takesNonFinite: false };
export const FILE_STYLE: RowStyle = { fields: { ...PARAM_STYLE, texts: "escaped" }, separator: "\t", nullText: "\\N" };

export interface BulkLimits {
  /** Bytes that the server takes in one packet. */
  readonly mostPacket: number;
  /** Whether it takes LOAD DATA LOCAL. */
  readonly takesFiles: boolean;
}

export type BulkLoad = (relation: string, columns: readonly InsertColumn[], batch: Batch) => Promise<void>;

export const createBulkLoad = (client: MysqlClient, limits: BulkLimits, what: string): BulkLoad =>
  limits.takesFiles
    ? (relation, columns, batch) => loadFile(client, limits, relation, columns, batch)
    : (relation, columns, batch) => insertRows(client, limits, what, relation, columns, batch);

/** With LOCAL the server makes values fit, or leaves rows out, and only warns: whatever it warns of is refused. */
const loadFile = async (
  client: MysqlClient,
  { mostPacket }: BulkLimits,
  relation: string,
  columns: readonly InsertColumn[],
  batch: Batch,
): Promise<void> => {
  const isBinary = columns.map(({ type }) => type.kind === "binary");
  const fields = columns.map(({ name }, place) => (isBinary[place] === true ? `@b${place}` : quoteIdentifier(name)));
  const sets = columns.flatMap(({ name }, place) => (isBinary[place] === true ? [`${quoteIdentifier(name)} = unhex(@b${place})`] : []));
  const sql = `load data local infile 'downbeat' into table ${relation} character set utf8mb4
    fields terminated by '\\t' escaped by '\\\\' lines terminated by '\\n' (${fields.join(", ")})${sets.length === 0 ? "" : ` set ${sets.join(", ")}`}`;
  const pieceBytes = Math.min(PIECE_BYTES, Math.floor(mostPacket / 2));
  await client.run(sql, [], { refuseWarnings: true, infile: () => streamOf(encodeRows(batch, columns, FILE_STYLE, pieceBytes)) });
};

/** Encodes a piece when the one before is on its way; an error of the encoding is the statement's. */
const streamOf = (pieces: Generator<Buffer>): Readable =>
  new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      try {
        const { value, done } = pieces.next();
        this.push(done === true ? null : value);
      } catch (error) {
        this.destroy(error as Error);
      }
    },
  });

const insertRows = async (
  client: MysqlClient,
  { mostPacket }: BulkLimits,
  what: string,
  relation: string,
  columns: readonly InsertColumn[],
  batch: Batch,
): Promise<void> => {
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
  const tuple = `(${columns.map(() => "?").join(", ")})`;
  const mostBytes = Math.min(mostPacket, MOST_STATEMENT_BYTES) - 1_024;
  const mostRows = Math.min(MOST_ROWS, Math.floor(MOST_PARAMS / columns.length));
  let waiting: { readonly params: readonly MysqlParam[]; readonly bytes: number }[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    // By powers of two, so that there are few statements for the server to keep.
    for (let from = 0; from < waiting.length; ) {
      const count = 2 ** Math.floor(Math.log2(waiting.length - from));
      const params = waiting.slice(from, from + count).flatMap((row) => row.params);
      await client.run(`insert into ${relation} (${names}) values ${Array.from({ length: count }, () => tuple).join(", ")}`, params, {
        refuseWarnings: true,
      });
      from += count;
    }
    waiting = [];
    bytes = 0;
  };
  for (const { params, bytes: size } of rowsOf(batch, columns)) {
    if (size > mostPacket - 1_024) {
      throw new DownbeatError(
        "DESTINATION_DATA_REFUSED",
        `${what}: a row of ${size} bytes is more than the server takes in one packet; raise its max_allowed_packet (${mostPacket}) or leave the long column out`,
        { details: { bytes: size, mostPacket } },
      );
    }
    if (waiting.length === mostRows || (waiting.length > 0 && bytes + size > mostBytes)) await flush();
    waiting.push({ params, bytes: size });
    bytes += size;
  }
  await flush();
};

function* rowsOf(
  batch: Batch,
  columns: readonly InsertColumn[],
): Generator<{ readonly params: readonly MysqlParam[]; readonly bytes: number }> {
  const text = new FieldText(PIECE_BYTES);
  const values = columns.map((column): ((row: number) => string | Buffer) => {
    if (column.type.kind === "binary") {
      const { offsets, data } = batch.columns[column.index] as TextVector;
      return (row) => Buffer.from(data.buffer, data.byteOffset + offsets[row]!, offsets[row + 1]! - offsets[row]!);
    }
    const { put } = loadField(batch, column, PARAM_STYLE);
    return (row) => {
      text.length = 0;
      put(row, text);
      return text.bytes.toString("utf8");
    };
  });
  const valids = columns.map(({ index }) => batch.columns[index]!.valid);
  for (let row = 0; row < batch.rows; row += 1) {
    let bytes = 0;
    const params = values.map((valueAt, place) => {
      const valid = valids[place]!;
      bytes += PARAM_OVERHEAD;
      if (valid !== null && valid[row] === 0) return null;
      const value = valueAt(row);
      bytes += Buffer.byteLength(value);
      return value;
    });
    yield { params, bytes };
  }
}
