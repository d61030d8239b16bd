// Airbyte messages: records and states of one stream, and what a source says of itself.

import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { Column } from "../batch.ts";
import { jsonText, parseJson } from "../lib/json-text.ts";
import type { Row } from "../lib/rows.ts";
import { columnsOf } from "../lib/taps/json-schema.ts";
import type { TapEvent, TapMessages } from "../lib/taps/read-messages.ts";
import type { NoteLevel, Tap, TapRun } from "../lib/taps/tap.ts";
import { keyOf, nameOf, type AirbyteStream } from "./catalog.ts";

const NOTHING: TapEvent = { is: "nothing" };

const objectAt = (value: Row, name: string): Row => {
  const found = value[name];
  return typeof found === "object" && found !== null ? (found as Row) : {};
};

/** What every command of a source may say. */
export class SourceTalk {
  readonly #tap: Tap;
  readonly #run: Pick<TapRun, "note" | "confirm">;
  #failure: DownbeatError | undefined;
  #saidControl = false;

  constructor(tap: Tap, run: Pick<TapRun, "note" | "confirm">) {
    this.#tap = tap;
    this.#run = run;
  }

  /** Whether the message was talk. */
  take(message: Row): boolean {
    switch (message["type"]) {
      case "LOG": {
        const { level, message: text } = objectAt(message, "log");
        this.#run.note(levelOf(level), String(text));
        return true;
      }
      case "TRACE": {
        const trace = objectAt(message, "trace");
        if (trace["type"] === "ERROR") this.#fail(objectAt(trace, "error"));
        return true;
      }
      case "CONTROL":
        if (!this.#saidControl) this.#run.note("warn", "the source has changed its configuration (CONTROL); what it changed is not kept");
        this.#saidControl = true;
        return true;
      default:
        return false;
    }
  }

  /** After the last message: throws why the source failed, in its own words where it has said so. */
  async confirm(): Promise<void> {
    if (this.#failure === undefined) return this.#run.confirm();
    // The end is waited for all the same, so that what it says last is logged.
    await this.#run.confirm().catch(() => undefined);
    throw this.#failure;
  }

  #fail({ message, internal_message: internal, failure_type: type, stream_descriptor: descriptor }: Row): void {
    const said = [message, internal].filter((text): text is string => typeof text === "string" && text !== "");
    const text = this.#tap.redact([...new Set(said)].join(": ") || "an error without a message").slice(0, 2_000);
    this.#run.note("warn", text);
    const stream = typeof descriptor === "object" && descriptor !== null ? `, stream ${nameOf(descriptor as AirbyteStream)}` : "";
    // The first error is the cause of those that follow.
    this.#failure ??= new DownbeatError(codeOf(type), `the source says${stream}: ${text}`, { details: { failureType: type ?? null } });
  }
}

const codeOf = (type: unknown): ErrorCode => {
  if (type === "config_error") return "CONNECTION_INVALID";
  return type === "transient_error" ? "SOURCE_UNAVAILABLE" : "COMMAND_FAILED";
};

const levelOf = (level: unknown): NoteLevel => {
  if (level === "INFO") return "info";
  return level === "DEBUG" || level === "TRACE" ? "debug" : "warn";
};

/** States as `--state` takes them: what was said last of each stream, or of all together. */
class States {
  readonly #streams = new Map<string, unknown>();

  /** `text`: those to begin with. */
  constructor(text: string | undefined) {
    const begun = text === undefined ? [] : parseJson(text);
    if (Array.isArray(begun)) for (const state of begun as readonly Row[]) this.take(state);
  }

  take(state: Row): unknown {
    const { type, stream, global, data } = state;
    if (type === "GLOBAL") return [{ type, global }];
    if (type !== "STREAM") return data ?? {};
    this.#streams.set(jsonText(objectAt(stream as Row, "stream_descriptor")), { type, stream });
    return [...this.#streams.values()];
  }
}

export const airbyteMessages = (
  chosen: AirbyteStream,
  given: readonly Column[],
  talk: SourceTalk,
  begun: string | undefined,
): TapMessages => {
  const states = new States(begun);
  return {
    columns: columnsOf(chosen.json_schema, keyOf(chosen), given),
    interpret(message) {
      switch (message["type"]) {
        case "RECORD": {
          const record = objectAt(message, "record");
          const isOwn = record["stream"] === chosen.name && (record["namespace"] ?? "") === (chosen.namespace ?? "");
          return isOwn ? { is: "record", record: record["data"] } : NOTHING;
        }
        case "STATE":
          return { is: "state", state: states.take(objectAt(message, "state")) };
        default:
          return talk.take(message) ? NOTHING : { is: "unknown" };
      }
    },
  };
};
