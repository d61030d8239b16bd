// The store: one small repository per noun over one database.

import { createAssets, type Assets } from "./assets.ts";
import { createBackfills, type Backfills } from "./backfills.ts";
import { createConnections, type Connections } from "./connections.ts";
import { openDatabase } from "./database.ts";
import { createDefinitions, type Definitions } from "./definitions.ts";
import { createItems, type Items } from "./items.ts";
import { createLoads, type Loads } from "./loads.ts";
import { createPipelineActions, type PipelineActions } from "./pipeline-actions.ts";
import { createPools, type Pools } from "./pools.ts";
import { createRuns, type Runs } from "./runs.ts";
import { createTriggers, type Triggers } from "./triggers.ts";
import { createSchedules, type Schedules } from "./schedules.ts";
import { createSecretBox } from "./secret-box.ts";
import { createCatalogues, type Catalogues } from "./catalogues.ts";

export interface Store {
  readonly definitions: Definitions;
  readonly connections: Connections;
  readonly runs: Runs;
  readonly pipelineActions: PipelineActions;
  readonly schedules: Schedules;
  readonly triggers: Triggers;
  readonly backfills: Backfills;
  readonly loads: Loads;
  readonly items: Items;
  readonly pools: Pools;
  readonly assets: Assets;
  readonly catalogues: Catalogues;
  /** One cheap round trip; throws STORE_UNAVAILABLE. */
  readonly check: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface StoreOptions {
  /** `postgres://…`, `pglite:FOLDER` or `pglite:memory`. */
  readonly url: string;
  /** 32 bytes: seals the secrets of connections. */
  readonly secretKey: Uint8Array;
}

export const openStore = async ({ url, secretKey }: StoreOptions): Promise<Store> => {
  const { db, close } = await openDatabase(url);
  const runs = createRuns(db);
  return {
    definitions: createDefinitions(db),
    connections: createConnections(db, createSecretBox(secretKey)),
    runs,
    pipelineActions: createPipelineActions(db),
    schedules: createSchedules(db),
    triggers: createTriggers(db),
    backfills: createBackfills(db),
    loads: createLoads(db),
    items: createItems(db),
    pools: createPools(db),
    assets: createAssets(db),
    catalogues: createCatalogues(db),
    check: () => runs.check(),
    close,
  };
};
