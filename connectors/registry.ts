// The connectors that ship, one line each.

import type { ConnectorSpec } from "./connector.ts";
import { duckdb } from "./duckdb/spec.ts";
import { file } from "./file.ts";

export const builtinConnectors: readonly ConnectorSpec[] = [duckdb, file];
