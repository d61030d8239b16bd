// What the API needs of the world: handed in by bin, so that tests can build the same app.

import type { Catalogue } from "../connectors/catalogue.ts";
import type { JsonObject } from "../core/json.ts";
import type { Store } from "../store/open-store.ts";
import type { Orchestrator } from "./orchestrator.ts";

export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ApiDeps {
  readonly store: Store;
  readonly orchestrator: Orchestrator;
  readonly catalogue: Catalogue;
  readonly log: Logger;
  /** Turns the reference to a webhook's secret into its value; throws SECRET_UNRESOLVED. */
  readonly resolveSecret: (reference: JsonObject) => Promise<string>;
  /** Set: every request but the health checks needs it. */
  readonly apiKey?: string;
  /** Where Temporal's UI answers, for links. */
  readonly temporalUiUrl?: string;
  /** The Prometheus text of this process, where it has one. */
  readonly metrics?: () => Promise<string>;
}
