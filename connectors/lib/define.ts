// Types a connector's `open` by its own configuration schema, and gives it back as a spec of any configuration.

import type { z } from "zod";
import type { ConnectorSpec } from "../connector.ts";

export const defineConnector = <Config extends z.ZodObject>(spec: ConnectorSpec<Config>): ConnectorSpec => spec as unknown as ConnectorSpec;
