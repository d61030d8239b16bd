// The systems that loads read from, each with the events in it: what connects to them, what is asked of them, and what they must give.

import type { Json } from "../../core/json.ts";
import type { SourceName } from "./cases.ts";
import { eventsOf, latest, type Event, type Part } from "./rows.ts";

export interface SourceRequest {
  readonly stream: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly cursor?: string;
  /** Where a source cannot be told that it ends earlier by its stream: the bounds that it would have given then. */
  readonly bounds?: Json;
}

export interface PreparedSource {
  /** Of the connector. */
  readonly kind: string;
  /** `folder`: of the one that runs a case, for what only one process can have open. */
  readonly config: (folder: string) => Readonly<Record<string, unknown>>;
  readonly request: (part: Part) => SourceRequest;
  /** Brings it to where this part ends, where it cannot hold all of them beside each other; a part before that where it is begins it anew. */
  readonly come?: (folder: string, part: Part) => Promise<void>;
}

interface Nature {
  /** The next run reads what has come since. */
  readonly isIncremental: boolean;
  /** The end is fixed when a load begins: what comes while it is under way is the next run's. `midway`: a first load fixes it only when it has read the rows. */
  readonly fixesEnd: boolean | "midway";
  /** Holds every event; the others hold the last version of each row. */
  readonly keepsHistory: boolean;
  /** Can hold rows that cannot be read. */
  readonly canBeBad: boolean;
  /** The same rows come in the same pieces each time, so that the last time of a place is known. */
  readonly repeatsItself: boolean;
}

const WHOLE: Nature = { isIncremental: false, fixesEnd: false, keepsHistory: true, canBeBad: true, repeatsItself: true };

export const NATURES: Readonly<Record<SourceName, Nature>> = {
  mysql: { ...WHOLE, keepsHistory: false },
  "mysql-cursor": { ...WHOLE, isIncremental: true, fixesEnd: true, keepsHistory: false },
  "mysql-changes": { isIncremental: true, fixesEnd: "midway", keepsHistory: false, canBeBad: false, repeatsItself: false },
  "s3-csv": { ...WHOLE, isIncremental: true, repeatsItself: false },
  "s3-parquet": { ...WHOLE, canBeBad: false },
  "s3-jsonl": WHOLE,
  "s3-avro": WHOLE,
  kafka: { ...WHOLE, isIncremental: true, fixesEnd: true, repeatsItself: false },
  http: WHOLE,
  "duckdb-table": { ...WHOLE, keepsHistory: false, canBeBad: false },
  "postgres-table": { ...WHOLE, keepsHistory: false },
};

/** What it holds when all of this part has come. */
export const heldEvents = (name: SourceName, part: Part): readonly Event[] =>
  NATURES[name].keepsHistory ? eventsOf(part) : latest(eventsOf(part));
