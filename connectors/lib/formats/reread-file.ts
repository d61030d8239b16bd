// Rows of files that became dead letters, read again from their texts.

import type { Batch, Column } from "../../batch.ts";
import type { DeadLetter } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import { inferColumns } from "../infer.ts";
import { rereadObjects } from "../reread.ts";
import type { Row } from "../rows.ts";
import { isMissing } from "./csv.ts";
import { formatOf, type Format } from "./read-file.ts";

export interface RereadFile {
  /** The stream's: its ending tells the format. */
  readonly name: string;
  readonly format?: Format | undefined;
  readonly declared: readonly Column[] | undefined;
  readonly known: readonly Column[];
}

export const rereadFile = (letters: readonly DeadLetter[], { name, format = formatOf(name), declared, known }: RereadFile): Batch => {
  switch (format) {
    case "jsonl":
      return rereadObjects(letters, { columnsOf: (rows) => declared ?? inferColumns(rows, known) });
    case "csv": {
      const columns = declaredFor("CSV", name, declared);
      return rereadObjects(letters, { columnsOf: () => columns, rowOf: (fields) => csvRow(columns, fields), areParsedJson: false });
    }
    case "avro": {
      const columns = declaredFor("Avro", name, declared);
      return rereadObjects(letters, { columnsOf: () => columns, areParsedJson: false });
    }
    case "parquet":
      throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${name}: Parquet files leave no dead letters that could be read again`);
  }
};

const declaredFor = (format: string, name: string, declared: readonly Column[] | undefined): readonly Column[] => {
  if (declared !== undefined) return declared;
  const message = `${name}: dead letters of ${format} files need from.columns, since a few texts do not tell the types of a whole file`;
  throw new DownbeatError("SOURCE_OPTIONS_INVALID", message);
};

/** The letter has the fields that were read then; one that was not is not NULL, but unknown. */
const csvRow = (columns: readonly Column[], fields: Row): Row | string => {
  const lacking = columns.find(({ name }) => !Object.hasOwn(fields, name));
  if (lacking !== undefined) return `column "${lacking.name}" is not in the dead letter's text`;
  return Object.fromEntries(columns.map(({ name, type }) => [name, isMissing(fields[name], type) ? null : fields[name]]));
};
