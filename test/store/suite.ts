// What the store promises, on whichever database it stands: called by the PGlite and by the PostgreSQL tests.

import { afterAll, beforeAll, describe } from "vitest";
import type { Store } from "../../store/open-store.ts";
import { definitionCases } from "./definition-cases.ts";
import { storeKit } from "./kit.ts";
import { otherCases } from "./other-cases.ts";
import { reportCases } from "./report-cases.ts";
import { runCases } from "./run-cases.ts";

export const describeStore = (title: string, open: () => Promise<Store>): void => {
  let store: Store;
  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  describe(title, () => {
    const kit = storeKit(title, () => store);
    for (const cases of [definitionCases, runCases, reportCases, otherCases]) cases(kit);
  });
};
