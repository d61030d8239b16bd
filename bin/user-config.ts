// Loads downbeat.config.ts: connectors and activities of the user's own.

import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { createCatalogue, type Catalogue } from "../connectors/catalogue.ts";
import { builtinConnectors } from "../connectors/registry.ts";
import type { UserConfig } from "../connectors/sdk.ts";
import { DownbeatError } from "../core/errors.ts";
import type { Config } from "./config.ts";

export interface LoadedCatalogue {
  readonly catalogue: Catalogue;
  /** Activities that this worker itself registers, by name. */
  readonly implementations: Readonly<Record<string, (input: never) => unknown>>;
}

/** The standard file may be missing; one that was asked for by name must be there. */
export const loadCatalogue = async (file: Config["userConfigFile"]): Promise<LoadedCatalogue> => {
  const user = await loadUserConfig(file);
  try {
    const activities = user.activities ?? [];
    const catalogue = createCatalogue([...builtinConnectors, ...(user.connectors ?? [])], activities);
    const implementations = Object.fromEntries(activities.flatMap(({ name, run }) => (run === undefined ? [] : [[name, run]])));
    return { catalogue, implementations };
  } catch (error) {
    throw new DownbeatError("CONFIG_INVALID", `${file.path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
};

const loadUserConfig = async (file: Config["userConfigFile"]): Promise<UserConfig> => {
  const resolved = path.resolve(file.path);
  if (!existsSync(resolved)) {
    if (file.isDefault) return {};
    throw new DownbeatError("CONFIG_INVALID", `DOWNBEAT_CONFIG names ${resolved}, which does not exist`);
  }
  const module = (await import(pathToFileURL(resolved).href)) as { readonly default?: UserConfig };
  if (module.default === undefined)
    throw new DownbeatError("CONFIG_INVALID", `${resolved} has no default export; write: export default defineConfig({ … })`);
  return module.default;
};
