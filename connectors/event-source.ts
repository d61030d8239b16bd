// The contract of the role `events`: messages that come in by themselves and start runs.

import type { Json } from "../core/json.ts";
import type { Position } from "./batch.ts";

export interface SourceEvent {
  /** Names the event for ever: the same whenever it is read, and no other's. */
  readonly key: string;
  /** What expressions read as `event.data`. */
  readonly data: Json;
  /** Why it cannot be read as asked; it then starts no run, and `data` is what can be had of it. */
  readonly fault?: string;
}

export interface EventPage {
  /** In the order in which they came, as far as there is one. */
  readonly events: readonly SourceEvent[];
  /** Where to read on behind them. */
  readonly position: Position;
}

export interface EventRequest {
  readonly stream: string;
  /** Parsed by `eventOptions`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Null: nothing was read yet; the options say where that begins. */
  readonly position: Position | null;
}

export interface EventSource {
  /**
   * What has come since the position, up to now and no further, in pages of about 1,000 events or 4 MB, whichever comes first.
   * Promise: reading from a page's position yields exactly the events that follow it. Where nothing has come there is one page without events,
   * so that a first look has a position. Throws SOURCE_DATA_INVALID where events were lost that nobody had read.
   */
  follow(request: EventRequest): AsyncIterable<EventPage>;
}
