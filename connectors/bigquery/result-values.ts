// Columns and values of results as the API writes them.

import type { Json } from "../../core/json.ts";
import type { Column } from "../batch.ts";
import type { Cell, Cells, Field } from "./jobs.ts";
import { heldType } from "./types.ts";

export const columnOf = (field: Field): Column => ({ name: field.name, type: typeOf(field), nullable: true });

const typeOf = (field: Field): Column["type"] => {
  if (field.mode === "REPEATED" || field.type === "RECORD" || field.type === "STRUCT") return { kind: "json" };
  return heldType(field) ?? { kind: "string" };
};

const MICROS = 1_000_000n;

/** Microseconds since 1970 as ISO 8601. */
const isoOf = (micros: bigint): string => {
  const fraction = ((micros % MICROS) + MICROS) % MICROS;
  const seconds = Number((micros - fraction) / MICROS);
  return `${new Date(seconds * 1_000).toISOString().slice(0, -5)}.${String(fraction).padStart(6, "0")}Z`;
};

/** A value of a batch: JSON columns are text. */
export const jsonOf = (value: Cell, field: Field): unknown => {
  if (value === null) return null;
  if (typeOf(field).kind === "json" && typeof value !== "string") return JSON.stringify(nested(value, field));
  return typeof value === "string" ? scalarOf(value, field.type) : value;
};

const scalarOf = (text: string, type: string): string | boolean => {
  if (type === "BOOLEAN") return text === "true";
  return type === "TIMESTAMP" ? isoOf(BigInt(text)) : text;
};

/** Of lists and records; numbers in them are text, as everywhere in the API. */
const nested = (value: Cell, field: Field): Json => {
  if (value === null) return null;
  if (field.mode === "REPEATED") return (value as Cells).map(({ v }) => nested(v, { ...field, mode: "NULLABLE" }));
  if (typeof value === "string") return scalarOf(value, field.type);
  const cells = (value as { readonly f: Cells }).f;
  return Object.fromEntries((field.fields ?? []).map((part, place) => [part.name, nested(cells[place]?.v ?? null, part)]));
};
