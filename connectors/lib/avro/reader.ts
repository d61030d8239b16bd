// Reads values of one Avro schema as rows of given columns.

import type { Column, ColumnType } from "../../batch.ts";
import { decimalText, finiteOrText, type Row } from "../rows.ts";
import { signedOf } from "../signed-bytes.ts";
import { columnTypeOf, fieldsOf, withoutNull } from "./columns.ts";
import type { AvroCursor } from "./cursor.ts";
import { readLogical, type Form } from "./logical.ts";
import type { AvroLogical, AvroRecord, AvroType, AvroUnion } from "./schema.ts";

type Read = (cursor: AvroCursor) => unknown;

/** A message. Bytes left behind the value are wrong: then it is of another schema. */
export const avroReader = (type: AvroType, columns: readonly Column[]): ((cursor: AvroCursor) => Row) => {
  const read = avroRowReader(type, columns);
  return (cursor) => {
    const row = read(cursor);
    if (cursor.left > 0) throw new Error(`has ${cursor.left} bytes behind its value`);
    return row;
  };
};

/** One row of several behind each other. Throws what is wrong with it; the cursor is behind it then only by chance. */
export const avroRowReader = (type: AvroType, columns: readonly Column[]): ((cursor: AvroCursor) => Row) => {
  const wanted = new Map(columns.map((column) => [column.name, column.type]));
  const fields = fieldsOf(type).map(({ name, type: field }) => {
    const into = wanted.get(name);
    return { name, read: optional(field, (inner) => compile(inner, into === undefined ? "plain" : formOf(field, into))) };
  });
  const fresh = freshObject(fields);
  const readRow = (cursor: AvroCursor): Row => {
    const row = fresh();
    let place = 0;
    try {
      for (; place < fields.length; place += 1) {
        const { name, read } = fields[place]!;
        row[name] = read(cursor);
      }
    } catch (error) {
      throw new Error(`field "${fields[place]?.name}" ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    return row;
  };
  const readRoot = type.kind === "union" && withoutNull(type).kind === "record" ? unionReader(type, () => readRow) : readRow;
  return (cursor) => (readRoot(cursor) ?? {}) as Row;
};

/** Without a prototype where a field is called "__proto__"; others are quicker with one. */
const freshObject = (fields: readonly { readonly name: string }[]): (() => Record<string, unknown>) =>
  fields.some(({ name }) => name === "__proto__") ? () => Object.create(null) as Record<string, unknown> : () => ({});

const NUMBERS: ReadonlySet<ColumnType["kind"]> = new Set(["int32", "int64", "uint64", "float32", "float64", "decimal"]);

/** How a column takes the field's values: as they are kept in memory, as the numbers that they are written as, or as what JSON says. */
const formOf = (field: AvroType, column: ColumnType): Form => {
  const own = columnTypeOf(field);
  if (own?.kind === column.kind) return "native";
  switch (own?.kind) {
    case "date":
      return column.kind === "timestamp" ? "moment" : NUMBERS.has(column.kind) ? "raw" : "plain";
    case "time":
    case "timestamp":
    case "timestamptz":
      return NUMBERS.has(column.kind) ? "raw" : "plain";
    case "float32":
    case "float64":
    case "binary":
      return "native";
    default:
      return "plain";
  }
};

const compile = (type: AvroType, form: Form, records = new Map<AvroRecord, Read>()): Read => {
  const plain = (inner: AvroType): Read => compile(inner, "plain", records);
  switch (type.kind) {
    case "null":
      return () => null;
    case "boolean":
      return (cursor) => cursor.readBoolean();
    case "int":
    case "long": {
      const number: Read = type.kind === "int" ? (cursor) => cursor.readInt() : (cursor) => cursor.readLong();
      const { logical } = type;
      if (logical === undefined || form === "raw") return number;
      return (cursor) => readLogical(logical, number(cursor) as number | bigint, form);
    }
    case "float":
      return form === "plain" ? (cursor) => finiteOrText(cursor.readFloat()) : (cursor) => cursor.readFloat();
    case "double":
      return form === "plain" ? (cursor) => finiteOrText(cursor.readDouble()) : (cursor) => cursor.readDouble();
    case "bytes":
      return bytesReader(type.logical, (cursor) => cursor.readBytes(), form);
    case "fixed": {
      const { size, logical } = type;
      return bytesReader(logical, (cursor) => cursor.readBytes(size), form);
    }
    case "string":
      return (cursor) => cursor.readString();
    case "enum":
      return (cursor) => type.symbols[cursor.readIndex(type.symbols.length)];
    case "array": {
      const read = plain(type.items);
      return (cursor) => {
        const items: unknown[] = [];
        cursor.readItems(() => void items.push(read(cursor)));
        return items;
      };
    }
    case "map": {
      const read = plain(type.values);
      return (cursor) => {
        const values = Object.create(null) as Record<string, unknown>;
        cursor.readItems(() => {
          const key = cursor.readString();
          values[key] = read(cursor);
        });
        return values;
      };
    }
    case "union":
      return optional(type, plain);
    case "record":
      return recordReader(type, records);
  }
};

/** Nested records. One that holds itself is read by the reader that is being made. */
const recordReader = (type: AvroRecord, records: Map<AvroRecord, Read>): Read => {
  const made = records.get(type);
  if (made !== undefined) return made;
  const fields: { readonly name: string; readonly read: Read }[] = [];
  const read: Read = (cursor) => {
    const object = Object.create(null) as Record<string, unknown>;
    for (const field of fields) object[field.name] = field.read(cursor);
    return object;
  };
  records.set(type, read);
  for (const { name, type: field } of type.fields) fields.push({ name, read: compile(field, "plain", records) });
  return read;
};

/** A value or null is that value or null. Of several types Avro's JSON encoding names the one that it is: { "string": "x" }. */
const optional = (type: AvroType, compileInner: (inner: AvroType) => Read): Read => {
  if (type.kind !== "union") return compileInner(type);
  if (withoutNull(type) !== type) return unionReader(type, compileInner);
  return unionReader(type, (branch) => {
    const read = compileInner(branch);
    const name = "name" in branch ? branch.name : branch.kind;
    return (cursor) => ({ [name]: read(cursor) });
  });
};

const unionReader = ({ branches }: AvroUnion, readerOf: (branch: AvroType) => Read): Read => {
  const reads = branches.map((branch): Read => (branch.kind === "null" ? () => null : readerOf(branch)));
  return (cursor) => reads[cursor.readIndex(reads.length)]?.(cursor);
};

const bytesReader = (logical: AvroLogical | undefined, bytes: (cursor: AvroCursor) => Buffer, form: Form): Read => {
  if (logical?.name === "decimal") return (cursor) => decimalText(signedOf(bytes(cursor)).toString(), logical.scale);
  if (logical?.name === "uuid")
    return (cursor) =>
      bytes(cursor)
        .toString("hex")
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return form === "plain" ? (cursor) => bytes(cursor).toString("base64") : bytes;
};
