// Looks for the events of triggers where they do not come by themselves: messages of topics, new files. What is found is kept with how far the look came.

import { isDeepStrictEqual } from "node:util";
import { CancelledFailure } from "@temporalio/common";
import type { SourceEvent } from "../connectors/event-source.ts";
import type { FileFacts } from "../connectors/file-store.ts";
import type { Log } from "../connectors/connector.ts";
import { DownbeatError, type ErrorCode } from "../core/errors.ts";
import { jsonBytes, type Json, type JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import type { TriggerSource } from "../core/trigger.ts";
import { countsFor } from "../store/take-event.ts";
import { eventId, isTriggerPaused, type FoundEvent, type Look, type TriggerRecord, type Triggers } from "../store/triggers.ts";
import type { DagActivities } from "../workflows/ports.ts";
import { roleOf } from "./connections.ts";
import { notYet, tryAgain } from "./failure.ts";
import { openFiles, type FileDeps } from "./open-files.ts";
import { parseOptions } from "./options.ts";
import { beating, type VerbContext } from "./run-verb.ts";
import { openFor } from "./verb.ts";

export interface WatchDeps extends FileDeps {
  readonly triggers: Pick<Triggers, "find" | "recordLook" | "known">;
  readonly log: Log;
}

/** Then the trigger is told of them before more are read. */
const MOST_PAGES = 10;
const PAGE_FILES = 1_000;
/** After a fault, looks are not as frequent as they may be asked for. */
const AFTER_FAULT_MS = 10_000;

export const createWatchEvents = (deps: WatchDeps): Pick<DagActivities, "watchEvents"> => ({
  watchEvents: ({ mark, ...ref }) =>
    beating(async ({ cancelled, heartbeat, lostAttempts }) => {
      const trigger = await deps.triggers.find(ref);
      const everyMs = trigger?.plan.everyMs ?? AFTER_FAULT_MS;
      try {
        if (trigger === undefined || isTriggerPaused(trigger)) throw notYet("the trigger is paused or gone", everyMs);
        const known = trigger.watched?.mark ?? 0;
        const context = { signal: cancelled, heartbeat, tell: () => undefined, lostAttempts, log: deps.log };
        const found = known === mark ? await look(deps, trigger, context) : known;
        if (found === mark) throw notYet("nothing new", everyMs);
        return { mark: found };
      } catch (error) {
        if (cancelled.aborted) throw new CancelledFailure("the look was interrupted");
        throw error instanceof DownbeatError ? tryAgain(error, Math.max(everyMs, AFTER_FAULT_MS)) : error;
      }
    }),
});

/** Answers the mark that is to be known from then on. */
const look = async (deps: WatchDeps, trigger: TriggerRecord, context: VerbContext): Promise<number> => {
  const begun = trigger.watched ?? { mark: 0, position: null };
  let { mark, position } = begun;
  let pages = 0;
  for await (const page of pagesOf(deps, trigger, context)) {
    context.signal.throwIfAborted();
    if (page.events.length === 0 && isDeepStrictEqual(page.position, position)) continue;
    const next = await deps.triggers.recordLook(trigger, { ...page, mark });
    // An attempt that was taken for lost goes on beside this one: what it finds, it keeps.
    if (next === undefined) throw notYet("another look has come before this one", AFTER_FAULT_MS);
    mark = next;
    position = page.position;
    pages += 1;
    if (pages >= MOST_PAGES && mark !== begun.mark) break;
  }
  return mark;
};

type Page = Pick<Look, "events" | "position">;

const pagesOf = (deps: WatchDeps, trigger: TriggerRecord, context: VerbContext): AsyncIterable<Page> => {
  const { source } = trigger.plan;
  if (source.kind === "stream") return messagePages(deps, trigger, source, context);
  if (source.kind === "files") return filePages(deps, trigger, source, context);
  throw new DownbeatError("INTERNAL", `events of a ${source.kind} trigger come by themselves`);
};

type SourceOf<Kind extends TriggerSource["kind"]> = Extract<TriggerSource, { readonly kind: Kind }>;

async function* messagePages(
  deps: WatchDeps,
  trigger: TriggerRecord,
  { connection, stream, options: given }: SourceOf<"stream">,
  context: VerbContext,
): AsyncGenerator<Page> {
  await using opened = await openFor(deps, connection, context);
  const options = parseOptions(opened, "eventOptions", given);
  const position = trigger.watched?.position ?? null;
  for await (const page of roleOf(opened, "events").follow({ stream, options, position }))
    yield { events: page.events.map((event) => judged(trigger, event)).filter(({ counts }) => counts), position: page.position };
}

/** The position of files says only that there was a look: those that are known have their rows, also where no run is to come of them. */
const LOOKED = { looked: true };

async function* filePages(
  deps: WatchDeps,
  trigger: TriggerRecord,
  { connection, glob, existing }: SourceOf<"files">,
  context: VerbContext,
): AsyncGenerator<Page> {
  await using opened = await openFiles(deps, connection, context);
  const position = trigger.watched?.position ?? null;
  const isBefore = position === null && !existing;
  const files = (await opened.files.list(glob)).map((file) => ({ file, key: `${file.uri}\0${file.tag}` }));
  for (let start = 0; start < files.length; start += PAGE_FILES) {
    const page = files.slice(start, start + PAGE_FILES);
    const known = await deps.triggers.known(
      trigger,
      page.map(({ key }) => eventId(trigger, key)),
    );
    const events = page
      .filter(({ key }) => !known.has(eventId(trigger, key)))
      .map(({ file, key }) => judged(trigger, { key, data: describeFile(file) }))
      .map((event) => (isBefore ? { ...event, counts: false } : event));
    // A first look that is broken off is a first look again.
    if (events.length > 0) yield { events, position };
  }
  yield { events: [], position: LOOKED };
}

const describeFile = ({ path, size, tag }: FileFacts): JsonObject => ({ path, size, tag });

/** As it is to be kept: what cannot be judged or is too large is kept too, and says why no run comes of it. */
const judged = (trigger: TriggerRecord, { key, data, fault }: SourceEvent): FoundEvent => {
  const id = eventId(trigger, key);
  const refused = (code: ErrorCode, message: string, kept: Json): FoundEvent => ({
    id,
    data: kept,
    counts: true,
    error: { code, message },
  });
  const bytes = jsonBytes(data);
  if (bytes > LIMITS.eventBytes)
    return refused("BODY_TOO_LARGE", `the event has ${bytes} bytes of JSON, the limit is ${LIMITS.eventBytes}`, { key });
  if (fault !== undefined) return refused("SOURCE_DATA_INVALID", fault, data);
  try {
    return { id, data, counts: countsFor(trigger, { id, subject: null, data }) };
  } catch (error) {
    if (error instanceof DownbeatError) return refused(error.code, error.message, data);
    throw error;
  }
};
