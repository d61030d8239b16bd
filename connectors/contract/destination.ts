// The contract of destinations as cases: what every destination must do, whatever it is. Ships with Downbeat; see docs/guides/new-connector.md.

import type { ContractCase } from "./case.ts";
import { destinationKit, type DestinationSuite } from "./destination-kit.ts";
import { evolveCases } from "./destination-evolve.ts";
import { mergeCases } from "./destination-merge.ts";
import { onceCases } from "./destination-once.ts";
import { replaceCases } from "./destination-replace.ts";
import { replayCases } from "./destination-replay.ts";
import { tableCases } from "./destination-tables.ts";

export const destinationCases = (suite: DestinationSuite): readonly ContractCase[] => {
  const kit = destinationKit(suite);
  return [
    ...onceCases(kit),
    ...tableCases(kit),
    ...(suite.hasSchema ? evolveCases(kit) : []),
    ...(suite.modes.includes("merge") ? mergeCases(kit) : []),
    ...(suite.modes.includes("replace") ? replaceCases(kit) : []),
    ...(suite.deadLetters === undefined ? [] : replayCases(kit)),
  ];
};
