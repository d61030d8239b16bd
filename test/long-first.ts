// The order of test files: those that take minutes begin first, so that none of them is left alone at the end. A clean clone has no times of its own to go by.

import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Longest first, as of 28 November 2026. */
const LONG = [
  "integration/load-faults",
  "workflow/windows",
  "workflow/history-length",
  "e2e/start",
  "integration/kills",
  "integration/backfills",
  "integration/history-length",
  "integration/triggers-kills",
  "integration/slots-kills",
  "integration/store-away",
  "contract/snowflake",
  "contract/duckdb",
  "contract/airbyte",
  "workflow/builds",
  "workflow/run",
  "workflow/holding",
  "workflow/connection-limits",
  "workflow/lost-owner",
  "integration/storm",
  "contract/kafka-destination",
];

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place < 0 ? LONG.length : place;
};

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((left, right) => placeOf(left) - placeOf(right));
  }
}
