// A batch as the buffers of a plain Parquet file: one row group, one page a column, uncompressed, as few copies as can be.

import { layoutOf, type Batch, type ColumnType, type Vector } from "../batch.ts";
import { definitionLevels, ENCODING, pageBody } from "./parquet-pages.ts";
import { ThriftWriter } from "./thrift-writer.ts";

/** A column of the batch and its name in the file. */
export interface ParquetColumn {
  readonly index: number;
  readonly name: string;
}

const MAGIC = Buffer.from("PAR1");
const PHYSICAL = { boolean: 0, int32: 1, int64: 2, float: 4, double: 5, byteArray: 6 } as const;
const REPETITION = { required: 0, optional: 1 } as const;

interface EncodedColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly optional: boolean;
  readonly encoding: number;
  readonly offset: number;
  readonly size: number;
}

/** Decimals beyond 18 digits are written as text: whoever reads the file casts them. */
export const encodeParquet = (batch: Batch, columns: readonly ParquetColumn[]): readonly Uint8Array[] => {
  const parts: Uint8Array[] = [MAGIC];
  let offset = MAGIC.length;
  const encoded = columns.map(({ index, name }): EncodedColumn => {
    const { type } = batch.schema.columns[index]!;
    const vector: Vector = batch.columns[index]!;
    const { parts: body, encoding } = pageBody(vector, batch.rows);
    const pages: readonly Uint8Array[] = vector.valid === null ? body : [definitionLevels(vector.valid, batch.rows), ...body];
    const size = pages.reduce((sum, part) => sum + part.length, 0);
    const header = pageHeader(batch.rows, size, encoding);
    const column = { name, type, optional: vector.valid !== null, encoding, offset, size: header.length + size };
    parts.push(header, ...pages);
    offset += column.size;
    return column;
  });
  const footer = fileFooter(encoded, batch.rows);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(footer.length, 0);
  MAGIC.copy(tail, 4);
  parts.push(footer, tail);
  return parts;
};

const pageHeader = (rows: number, size: number, encoding: number): Buffer => {
  const writer = new ThriftWriter();
  writer.body(() => {
    writer.i32(1, 0); // DATA_PAGE
    writer.i32(2, size);
    writer.i32(3, size);
    writer.struct(5, () => {
      writer.i32(1, rows);
      writer.i32(2, encoding);
      writer.i32(3, ENCODING.rle);
      writer.i32(4, ENCODING.rle);
    });
  });
  return writer.take();
};

const fileFooter = (columns: readonly EncodedColumn[], rows: number): Buffer => {
  const writer = new ThriftWriter();
  const elements: readonly (EncodedColumn | null)[] = [null, ...columns];
  const total = columns.reduce((sum, { size }) => sum + size, 0);
  writer.body(() => {
    writer.i32(1, 1);
    writer.structs(2, elements, (column) => {
      if (column === null) {
        writer.string(4, "rows");
        writer.i32(5, columns.length);
      } else schemaElement(writer, column);
    });
    writer.i64(3, rows);
    writer.structs(4, [null], () => {
      writer.structs(1, columns, (column) => {
        writer.i64(2, column.offset);
        writer.struct(3, () => {
          writer.i32(1, physicalType(column.type));
          writer.i32s(2, [column.encoding, ENCODING.rle]);
          writer.strings(3, [column.name]);
          writer.i32(4, 0); // UNCOMPRESSED
          writer.i64(5, rows);
          writer.i64(6, column.size);
          writer.i64(7, column.size);
          writer.i64(9, column.offset);
        });
      });
      writer.i64(2, total);
      writer.i64(3, rows);
    });
  });
  return writer.take();
};

const physicalType = (type: ColumnType): number => {
  switch (type.kind) {
    case "float32":
      return PHYSICAL.float;
    case "float64":
      return PHYSICAL.double;
    default:
      switch (layoutOf(type)) {
        case "bytes1":
          return PHYSICAL.boolean;
        case "bytes4":
          return PHYSICAL.int32;
        case "bytes8":
          return PHYSICAL.int64;
        case "text":
          return PHYSICAL.byteArray;
      }
  }
};

/** Field 6 is the older `converted_type`, field 10 the `LogicalType` union; both by their numbers in the format. */
const schemaElement = (writer: ThriftWriter, { name, type, optional }: EncodedColumn): void => {
  writer.i32(1, physicalType(type));
  writer.i32(3, optional ? REPETITION.optional : REPETITION.required);
  writer.string(4, name);
  switch (type.kind) {
    case "string":
    case "uuid":
    case "json":
      writer.i32(6, 0);
      return;
    case "decimal":
      if (layoutOf(type) === "text") writer.i32(6, 0);
      else {
        writer.i32(6, 5);
        writer.i32(7, type.scale);
        writer.i32(8, type.precision);
      }
      return;
    case "date":
      writer.i32(6, 6);
      return;
    case "time":
      writer.i32(6, 8);
      writer.struct(10, () => writer.struct(7, () => timeUnit(writer, false)));
      return;
    case "timestamp":
    case "timestamptz":
      if (type.kind === "timestamptz") writer.i32(6, 10);
      writer.struct(10, () => writer.struct(8, () => timeUnit(writer, type.kind === "timestamptz")));
      return;
    case "uint64":
      writer.i32(6, 14);
      return;
    case "bool":
    case "int32":
    case "int64":
    case "float32":
    case "float64":
    case "binary":
      return;
  }
};

const timeUnit = (writer: ThriftWriter, adjustedToUtc: boolean): void => {
  writer.bool(1, adjustedToUtc);
  writer.struct(2, () => writer.struct(2, () => undefined)); // MICROS
};
