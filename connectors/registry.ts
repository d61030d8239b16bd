// The connectors that ship, one line each.

import type { ConnectorSpec } from "./connector.ts";

export const builtinConnectors: readonly ConnectorSpec[] = [];
