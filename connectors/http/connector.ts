// An opened HTTP connection: paged source, publisher of rows, single calls.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch, Column, Reject } from "../batch.ts";
import type { Connector, ConnectorContext, HttpCaller, Publisher, Source, StreamRequest } from "../connector.ts";
import { inferColumns } from "../lib/infer.ts";
import { plainJson } from "../lib/json-text.ts";
import { rereadObjects } from "../lib/reread.ts";
import { fromRows, rawText, toRows, type Row } from "../lib/rows.ts";
import { HttpClient, type HttpAnswer } from "./client.ts";
import type { HttpConfig, HttpPublishOptions, HttpSourceOptions } from "./spec.ts";

export const openHttp = (config: HttpConfig, context: ConnectorContext): Promise<Connector> => {
  const client = new HttpClient(config, context);
  return Promise.resolve({
    async check() {
      try {
        await client.send({ method: "GET", url: client.url("") }, "source");
      } catch (error) {
        // The base itself need not exist; that somebody answers and takes the credentials is what a check can know.
        if (error instanceof DownbeatError && (error.code === "SOURCE_STREAM_NOT_FOUND" || error.code === "SOURCE_QUERY_FAILED")) return;
        throw error;
      }
    },
    source: createSource(client),
    publisher: createPublisher(client, context),
    http: createCaller(client),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};

const valueAt = (value: unknown, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>(
      (current, part) =>
        typeof current === "object" && current !== null && Object.hasOwn(current, part)
          ? (current as Record<string, unknown>)[part]
          : undefined,
      value,
    );

const recordsOf = (answer: HttpAnswer, { records }: HttpSourceOptions, stream: string): readonly unknown[] => {
  const found = records === undefined ? answer.body : valueAt(answer.body, records);
  if (Array.isArray(found)) return found;
  const where = records === undefined ? "the answer" : `"${records}" in the answer`;
  throw new DownbeatError("SOURCE_DATA_INVALID", `${stream}: ${where} is not a list; set from.records to where the list is`);
};

const linkNext = (headers: Headers): string | undefined =>
  /<([^>]+)>\s*;[^,]*\brel="?next(?=["\s;,]|$)/i.exec(headers.get("link") ?? "")?.[1];

/** It would never end. */
const repeatedPage = (stream: string): DownbeatError =>
  new DownbeatError("SOURCE_DATA_INVALID", `${stream}: a page names itself as the next one; check from.pagination`);

const cursorText = (value: unknown, path: string): string => {
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return String(value);
  throw new DownbeatError("SOURCE_DATA_INVALID", `"${path}" in the answer is neither text nor a number; set from.pagination.path`);
};

interface Page {
  readonly answer: HttpAnswer;
  readonly records: readonly unknown[];
  readonly isLast: boolean;
}

async function* pages(
  client: HttpClient,
  stream: string,
  options: HttpSourceOptions,
  since: Readonly<Record<string, string>>,
): AsyncGenerator<Page> {
  const { pagination } = options;
  const query: Record<string, string> = { ...options.params, ...since };
  let url = client.url(stream, query);
  let page = pagination.type === "page" ? pagination.start : 0;
  for (let count = 0; count < options.max_pages; count += 1) {
    if (pagination.type === "page") {
      url = client.url(stream, {
        ...query,
        [pagination.param]: String(page),
        ...(pagination.size_param === undefined || pagination.size === undefined
          ? {}
          : { [pagination.size_param]: String(pagination.size) }),
      });
      page += 1;
    }
    const answer = await client.send({ method: "GET", url }, "source");
    const records = recordsOf(answer, options, stream);
    switch (pagination.type) {
      case "none":
        yield { answer, records, isLast: true };
        return;
      case "page": {
        const isLast = records.length === 0 || (pagination.size !== undefined && records.length < pagination.size);
        yield { answer, records, isLast };
        if (isLast) return;
        break;
      }
      case "link": {
        const next = linkNext(answer.headers);
        yield { answer, records, isLast: next === undefined };
        if (next === undefined) return;
        const following = client.url(new URL(next, url).href);
        if (following.href === url.href) throw repeatedPage(stream);
        url = following;
        break;
      }
      case "cursor": {
        const next = valueAt(answer.body, pagination.path);
        const isLast = next === null || next === undefined || next === "";
        yield { answer, records, isLast };
        if (isLast) return;
        const following = client.url(stream, { ...query, [pagination.param]: cursorText(next, pagination.path) });
        if (following.href === url.href) throw repeatedPage(stream);
        url = following;
      }
    }
  }
  throw new DownbeatError(
    "SOURCE_DATA_INVALID",
    `${stream}: after ${options.max_pages} pages there is still no end; raise from.max_pages if that is right`,
  );
}

type CursorValue = string | number;

/** Undefined: cannot be compared with others, and so not be gone on from. */
const asCursor = (value: unknown): CursorValue | undefined => {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" || typeof value === "number" ? value : undefined;
};

/** Numbers by value, also those whose digits are text; texts by their characters, as ISO 8601 times want it. */
const isBeyond = (value: CursorValue, last: CursorValue): boolean => {
  const isWhole = (text: CursorValue): boolean => /^-?\d+$/.test(String(text));
  if (isWhole(value) && isWhole(last)) return BigInt(value) > BigInt(last);
  return typeof value === "number" && typeof last === "number" ? value > last : String(value) > String(last);
};

/** Where this run begins: the last run's largest value, less the lookback. */
const sinceValue = ({ position, lookbackMs = 0, newRun }: StreamRequest): CursorValue | null => {
  const last = position as CursorValue | null;
  if (last === null || !newRun || lookbackMs === 0) return last;
  const moment = typeof last === "string" ? Date.parse(last) : Number.NaN;
  if (!Number.isNaN(moment)) return new Date(moment - lookbackMs).toISOString();
  throw new DownbeatError("CURSOR_INVALID", `lookback needs a cursor of ISO 8601 times; the last value is ${String(last)}`);
};

const createSource = (client: HttpClient): Source => ({
  // An HTTP API does not tell what it has.
  discover: () => Promise.resolve([]),

  async *read(request: StreamRequest): AsyncGenerator<Batch> {
    const options = request.options as unknown as HttpSourceOptions;
    const { cursor } = request;
    if (request.query !== undefined)
      throw new DownbeatError("SOURCE_OPTIONS_INVALID", "an HTTP API is read by stream; query parameters go into from.params");
    if (cursor !== undefined && options.since_param === undefined)
      throw new DownbeatError("CURSOR_INVALID", "cursor needs since_param: the query parameter that takes its last value");
    const begin = cursor === undefined ? null : sinceValue(request);
    const since: Record<string, string> =
      options.since_param === undefined || begin === null ? {} : { [options.since_param]: String(begin) };
    let last = cursor === undefined ? null : (request.position as CursorValue | null);
    let columns: readonly Column[] = options.columns ?? [];
    let page = 0;
    for await (const { records, isLast } of pages(client, request.stream, options, since)) {
      page += 1;
      const sorted = sortRecords(records, request, page);
      for (const value of sorted.cursors) if (last === null || isBeyond(value, last)) last = value;
      if (options.columns === undefined) columns = inferColumns(sorted.rows, columns);
      yield fromRows(columns, sorted.rows, {
        // Pages may shift while they are read, so only the end is a place to go on from.
        position: isLast && cursor !== undefined ? last : null,
        rejects: sorted.rejects,
        where: (index) => `record ${(sorted.places[index] ?? index) + 1} of page ${page}`,
        areParsedJson: true,
      });
    }
  },

  reread(letters, { options, known }) {
    const { columns } = options as unknown as HttpSourceOptions;
    return rereadObjects(letters, { columnsOf: (rows) => columns ?? inferColumns(rows, known) });
  },
});

interface SortedRecords {
  readonly rows: readonly Row[];
  /** Where each row lay on the page. */
  readonly places: readonly number[];
  readonly cursors: readonly CursorValue[];
  readonly rejects: readonly Reject[];
}

const sortRecords = (records: readonly unknown[], { stream, cursor, nullCursor }: StreamRequest, page: number): SortedRecords => {
  const rows: Row[] = [];
  const places: number[] = [];
  const cursors: CursorValue[] = [];
  const rejects: Reject[] = [];
  for (const [index, record] of records.entries()) {
    const where = `record ${index + 1} of page ${page}`;
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      rejects.push({ where, code: "SOURCE_DATA_INVALID", reason: "is not a JSON object", raw: rawText(record) });
      continue;
    }
    if (cursor !== undefined) {
      const value = asCursor(valueAt(record, cursor));
      if (value === undefined) {
        const reason = `the cursor "${cursor}" is missing, NULL or no plain value`;
        if (nullCursor === "fail")
          throw new DownbeatError("CURSOR_NULL", `${stream}, ${where}: ${reason}; set from.null_cursor: dead_letter to divert such rows`);
        rejects.push({ where, code: "CURSOR_NULL", reason, raw: rawText(record) });
        continue;
      }
      cursors.push(value);
    }
    rows.push(record as Row);
    places.push(index);
  }
  return { rows, places, cursors, rejects };
};

const createPublisher = (client: HttpClient, { progress }: ConnectorContext): Publisher => ({
  async publish(batches, request) {
    const { path, method, batch_size: size, body } = request.options as unknown as HttpPublishOptions;
    const perMessage = body === "row" ? 1 : size;
    const figures = { rows: 0, bytes: 0, messages: 0 };
    const send = async (rows: readonly Json[]): Promise<void> => {
      const text = JSON.stringify(body === "row" ? rows[0] : { rows });
      await client.send(
        {
          method,
          url: client.url(path),
          headers: { "content-type": "application/json", "idempotency-key": `${request.key}/${figures.messages}` },
          body: text,
        },
        "operator",
      );
      figures.messages += 1;
      figures.rows += rows.length;
      figures.bytes += Buffer.byteLength(text);
      progress();
    };
    let pending: Json[] = [];
    for await (const batch of batches) {
      for (const row of toRows(batch)) {
        pending.push(row);
        if (pending.length < perMessage) continue;
        await send(pending);
        pending = [];
      }
    }
    if (pending.length > 0) await send(pending);
    return figures;
  },
});

const createCaller = (client: HttpClient): HttpCaller => ({
  async call({ method, path = "", headers = {}, query = {}, body, idempotencyKey, accept }) {
    const answer = await client.send(
      {
        method,
        url: client.url(path, query),
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), "idempotency-key": idempotencyKey, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      "operator",
      accept,
    );
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: JSON.parse(plainJson(answer.body)) as Json,
    };
  },
});
