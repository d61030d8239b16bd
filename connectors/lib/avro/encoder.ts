// A batch as an Avro object container file (specification 1.12).

import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { deflateRaw, zstdCompress } from "node:zlib";
import { DownbeatError } from "../../../core/errors.ts";
import { type Batch, type Column, type ColumnType, layoutOf, type Vector } from "../../batch.ts";
import { signedBytes } from "../signed-bytes.ts";
import { MAGIC, SYNC_BYTES } from "./container.ts";
import { AvroWriter } from "./writer.ts";

interface WrittenCodec {
  readonly name: string;
  readonly pack: (plain: Buffer) => Promise<Buffer> | Buffer;
}

/** By the words of `compression`. */
export const WRITTEN_CODECS: Readonly<Partial<Record<string, WrittenCodec>>> = {
  none: { name: "null", pack: (plain) => plain },
  deflate: { name: "deflate", pack: promisify<Buffer, Buffer>(deflateRaw) },
  zstd: { name: "zstandard", pack: promisify<Buffer, Buffer>(zstdCompress) },
};

/** What Java's writer makes by default: readers take files apart between blocks. */
const BLOCK_BYTES = 64 * 1024;

export const encodeAvro = async ({ schema, columns, rows }: Batch, { name: codec, pack }: WrittenCodec): Promise<Uint8Array> => {
  const fields = schema.columns.map((column, place) => {
    const vector = columns[place]!;
    const optional = column.nullable || vector.valid !== null;
    return {
      name: checkedName(column),
      type: optional ? ["null", typeOf(column.type)] : typeOf(column.type),
      append: appender(column.type, vector, optional),
    };
  });
  const sync = randomBytes(SYNC_BYTES);
  const writer = new AvroWriter();
  const parts: Uint8Array[] = [headerOf(fields, codec, sync)];
  let from = 0;
  for (let row = 0; row < rows; row += 1) {
    for (const { append } of fields) append(writer, row);
    if (writer.length < BLOCK_BYTES && row + 1 < rows) continue;
    const packed = await pack(writer.take());
    const frame = new AvroWriter();
    frame.long(row + 1 - from);
    frame.long(packed.length);
    parts.push(frame.take(), packed, sync);
    from = row + 1;
  }
  return Buffer.concat(parts);
};

const headerOf = (fields: readonly { readonly name: string; readonly type: unknown }[], codec: string, sync: Uint8Array): Buffer => {
  const writer = new AvroWriter();
  writer.raw(MAGIC);
  const facts = {
    "avro.schema": JSON.stringify({ type: "record", name: "Row", fields: fields.map(({ name, type }) => ({ name, type })) }),
    "avro.codec": codec,
  };
  writer.long(Object.keys(facts).length);
  for (const [key, value] of Object.entries(facts)) {
    writer.text(key);
    writer.text(value);
  }
  writer.long(0);
  writer.raw(sync);
  return writer.take();
};

const checkedName = ({ name }: Column): string => {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw new DownbeatError(
    "DESTINATION_SCHEMA_MISMATCH",
    `column "${name}": names in Avro are of letters, digits and _, and begin with no digit; rename it (columns.rename)`,
  );
};

/** JSON has no type of its own there; the largest numbers without sign are decimals. */
const typeOf = (type: ColumnType): unknown => {
  switch (type.kind) {
    case "bool":
      return "boolean";
    case "int32":
      return "int";
    case "int64":
      return "long";
    case "uint64":
      return { type: "bytes", logicalType: "decimal", precision: 20, scale: 0 };
    case "float32":
      return "float";
    case "float64":
      return "double";
    case "decimal":
      return { type: "bytes", logicalType: "decimal", precision: type.precision, scale: type.scale };
    case "string":
    case "json":
      return "string";
    case "binary":
      return "bytes";
    case "date":
      return { type: "int", logicalType: "date" };
    case "time":
      return { type: "long", logicalType: "time-micros" };
    case "timestamp":
      return { type: "long", logicalType: "local-timestamp-micros" };
    case "timestamptz":
      return { type: "long", logicalType: "timestamp-micros" };
    case "uuid":
      return { type: "string", logicalType: "uuid" };
  }
};

type Append = (writer: AvroWriter, row: number) => void;

const appender = (type: ColumnType, vector: Vector, optional: boolean): Append => {
  const append = vector.layout === "text" ? textAppender(type, vector.offsets, vector.data) : fixedAppender(type, vector.data);
  const { valid } = vector;
  if (!optional) return append;
  return (writer, row) => {
    const isThere = valid === null || valid[row] === 1;
    writer.long(isThere ? 1 : 0);
    if (isThere) append(writer, row);
  };
};

const textAppender = (type: ColumnType, offsets: Int32Array, data: Uint8Array): Append => {
  const bytes = (row: number): Uint8Array => data.subarray(offsets[row], offsets[row + 1]);
  if (type.kind !== "decimal") return (writer, row) => writer.bytes(bytes(row));
  return (writer, row) => writer.bytes(signedBytes(BigInt(Buffer.from(bytes(row)).toString("latin1").replace(".", ""))));
};

const fixedAppender = (type: ColumnType, data: Uint8Array): Append => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  switch (type.kind) {
    case "bool":
      return (writer, row) => writer.boolean(data[row] === 1);
    case "float32":
      return (writer, row) => writer.float(view.getFloat32(row * 4, true));
    case "float64":
      return (writer, row) => writer.double(view.getFloat64(row * 8, true));
    case "uint64":
      return (writer, row) => writer.bytes(signedBytes(view.getBigUint64(row * 8, true)));
    case "decimal":
      return (writer, row) => writer.bytes(signedBytes(view.getBigInt64(row * 8, true)));
    default:
      return layoutOf(type) === "bytes4"
        ? (writer, row) => writer.long(view.getInt32(row * 4, true))
        : (writer, row) => writer.long(view.getBigInt64(row * 8, true));
  }
};
