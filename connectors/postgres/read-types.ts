// What a query's columns are read as: by their type in the server's catalogue, some of them through a cast.

import type { Client, FieldDef } from "pg";
import type { Column, ColumnType } from "../batch.ts";
import { DownbeatError } from "../../core/errors.ts";

export interface ReadColumn {
  readonly column: Column;
  /** As format_type() names it. */
  readonly sqlType: string;
  /** How to select it, given its quoted name. */
  readonly select: (name: string) => string;
}

const PLAIN: Readonly<Record<string, ColumnType>> = {
  boolean: { kind: "bool" },
  smallint: { kind: "int32" },
  integer: { kind: "int32" },
  bigint: { kind: "int64" },
  oid: { kind: "int64" },
  real: { kind: "float32" },
  "double precision": { kind: "float64" },
  bytea: { kind: "binary" },
  date: { kind: "date" },
  "time without time zone": { kind: "time" },
  "timestamp without time zone": { kind: "timestamp" },
  "timestamp with time zone": { kind: "timestamptz" },
  json: { kind: "json" },
  jsonb: { kind: "json" },
  uuid: { kind: "uuid" },
};

const asIs = (name: string): string => name;
const asJson = (name: string): string => `to_json(${name})::text`;
const asText = (name: string): string => `${name}::text`;

const readAs = (sqlType: string, category: string): Pick<ReadColumn, "select"> & { readonly type: ColumnType } => {
  const base = sqlType.replace(/\(\d+\)(?= with|$)/, "");
  const plain = PLAIN[base];
  if (plain !== undefined) return { type: plain, select: asIs };
  const numeric = /^numeric\((\d+),(\d+)\)$/.exec(sqlType);
  if (numeric !== null && Number(numeric[2]) <= Number(numeric[1])) {
    return { type: { kind: "decimal", precision: Number(numeric[1]), scale: Number(numeric[2]) }, select: asIs };
  }
  // Arrays and composite types.
  if (category === "A" || category === "C") return { type: { kind: "json" }, select: asJson };
  return { type: { kind: "string" }, select: category === "S" ? asIs : asText };
};

/** The columns of a result whose field descriptions are given. Domains come as the types below them. */
export const readColumns = async (client: Client, fields: readonly FieldDef[]): Promise<readonly ReadColumn[]> => {
  const { rows } = await client.query<{ readonly type: string; readonly category: string }>(
    `select format_type(f.oid, nullif(f.mod, -1)) as type, t.typcategory as category
     from unnest($1::oid[], $2::int[]) with ordinality as f (oid, mod, place) join pg_type t on t.oid = f.oid order by f.place`,
    [fields.map(({ dataTypeID }) => dataTypeID), fields.map(({ dataTypeModifier }) => dataTypeModifier)],
  );
  return fields.map(({ name }, place) => {
    const { type: sqlType = "", category = "" } = rows[place] ?? {};
    if (sqlType === "money") {
      throw new DownbeatError(
        "SOURCE_TYPE_UNSUPPORTED",
        `column "${name}" is money, whose text depends on the server's locale; cast it to numeric in a query, or leave it out`,
        {
          details: { column: name, type: sqlType },
        },
      );
    }
    const { type, select } = readAs(sqlType, category);
    return { column: { name, type, nullable: true }, sqlType, select };
  });
};
