// The matrix: what moves where in which mode, at which boundary the process dies, and how often.

import type { FailpointName, WriteMode } from "../../connectors/connector.ts";

/** `mysql-cursor`, `mysql-changes`, `s3-csv` and `kafka` go on in the next run; the others are read whole. */
export const SOURCES = [
  "mysql",
  "mysql-cursor",
  "mysql-changes",
  "s3-csv",
  "s3-parquet",
  "s3-jsonl",
  "s3-avro",
  "kafka",
  "http",
  "duckdb-table",
  "postgres-table",
] as const;
export type SourceName = (typeof SOURCES)[number];

/** `mysql` and `kafka` are sources' words already. */
export const DESTINATIONS = ["duckdb", "postgres", "mysql-warehouse", "snowflake", "bigquery", "redshift", "kafka-topic"] as const;
export type DestinationName = (typeof DESTINATIONS)[number];

export const MODES = ["append", "merge", "replace"] as const satisfies readonly WriteMode[];

/** Places that the process itself comes by. */
export const PLACES = [
  "reading",
  "writing",
  "before-commit",
  "between-rows-and-cursor",
  "within-commit",
  "after-commit",
  "between-staging-and-swap",
] as const satisfies readonly (FailpointName | "reading" | "writing")[];
export type Place = (typeof PLACES)[number];

/** `any-moment`: killed from outside, at a moment that the seed draws. */
export const BOUNDARIES = [...PLACES, "any-moment"] as const;
export type Boundary = (typeof BOUNDARIES)[number];

/**
 * `first`, `middle`, `last`: of the times that the process comes by. `twice`: at the first one, and the next attempt again.
 * `suspended`: stopped at the middle one, overtaken by another attempt, and continued.
 */
export const DEATHS = ["first", "middle", "last", "twice", "suspended"] as const;
export type Death = (typeof DEATHS)[number];

export interface Case {
  readonly source: SourceName;
  readonly destination: DestinationName;
  readonly mode: WriteMode;
  readonly boundary: Boundary;
  readonly death: Death;
}

export const DIMENSIONS = ["source", "destination", "mode", "boundary", "death"] as const satisfies readonly (keyof Case)[];

export const idOf = (one: Case): string => DIMENSIONS.map((dimension) => one[dimension]).join("/");

/** A replace builds the table anew from all that there is: reading on from a cursor means nothing there. Changes are merged. */
const hasMode = (source: SourceName, mode: WriteMode): boolean =>
  source === "mysql-changes" ? mode === "merge" : mode !== "replace" || !["mysql-cursor", "s3-csv"].includes(source);

const COMMITS: readonly Boundary[] = ["before-commit", "between-rows-and-cursor", "within-commit", "after-commit"];

const isPossible = ({ source, destination, mode, boundary, death }: Case): boolean => {
  if (!hasMode(source, mode) || (destination === "kafka-topic" && mode === "replace")) return false;
  if (boundary === "any-moment") return death !== "suspended";
  const comesByOnce = boundary === "between-staging-and-swap" || (source === "http" && COMMITS.includes(boundary));
  if (comesByOnce && (death === "middle" || death === "last")) return false;
  return boundary !== "between-staging-and-swap" || mode === "replace";
};

export const allCases = (): readonly Case[] =>
  SOURCES.flatMap((source) =>
    DESTINATIONS.flatMap((destination) =>
      MODES.flatMap((mode) =>
        BOUNDARIES.flatMap((boundary) => DEATHS.map((death): Case => ({ source, destination, mode, boundary, death }))),
      ),
    ),
  ).filter(isPossible);

/** Words are values of dimensions or whole ids: of each dimension that they name, the case has one of them. Undefined words are told. */
export const casesNamed = (words: readonly string[]): { readonly cases: readonly Case[]; readonly unknown: readonly string[] } => {
  const all = allCases();
  const ids = new Set(all.map(idOf));
  const values: Readonly<Record<keyof Case, readonly string[]>> = {
    source: SOURCES,
    destination: DESTINATIONS,
    mode: MODES,
    boundary: BOUNDARIES,
    death: DEATHS,
  };
  const wanted = DIMENSIONS.map((dimension) => ({ dimension, words: words.filter((word) => values[dimension].includes(word)) }));
  const named = new Set(words.filter((word) => ids.has(word)));
  const unknown = words.filter((word) => !ids.has(word) && wanted.every((group) => !group.words.includes(word)));
  const hasGroups = wanted.some((group) => group.words.length > 0);
  const cases = all.filter((one) => {
    if (named.has(idOf(one))) return true;
    if (named.size > 0 && !hasGroups) return false;
    return wanted.every((group) => group.words.length === 0 || group.words.includes(one[group.dimension]));
  });
  return { cases, unknown };
};
