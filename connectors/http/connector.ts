// An opened HTTP connection: paged source, publisher of rows, single calls.

import { DownbeatError } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Batch, Column } from "../batch.ts";
import type { Connector, ConnectorContext, HttpCaller, Publisher, Source, StreamRequest } from "../connector.ts";
import { inferColumns, parseColumnType } from "../lib/infer.ts";
import { fromRows, toRows, type Row } from "../lib/rows.ts";
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
      (current, part) => (typeof current === "object" && current !== null ? (current as Record<string, unknown>)[part] : undefined),
      value,
    );

const recordsOf = (answer: HttpAnswer, { records }: HttpSourceOptions, stream: string): readonly unknown[] => {
  const found = records === undefined ? answer.body : valueAt(answer.body, records);
  if (Array.isArray(found)) return found;
  const where = records === undefined ? "the answer" : `"${records}" in the answer`;
  throw new DownbeatError("SOURCE_DATA_INVALID", `${stream}: ${where} is not a list; set from.records to where the list is`);
};

const linkNext = (headers: Headers): string | undefined => /<([^>]+)>\s*;[^,]*\brel="?next"?/i.exec(headers.get("link") ?? "")?.[1];

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
        url = client.url(new URL(next, url).href);
        break;
      }
      case "cursor": {
        const next = valueAt(answer.body, pagination.path);
        const isLast = next === null || next === undefined || next === "";
        yield { answer, records, isLast };
        if (isLast) return;
        url = client.url(stream, { ...query, [pagination.param]: String(next) });
      }
    }
  }
  throw new DownbeatError(
    "SOURCE_DATA_INVALID",
    `${stream}: after ${options.max_pages} pages there is still no end; raise from.max_pages if that is right`,
  );
}

const declaredColumns = ({ columns }: HttpSourceOptions): readonly Column[] | undefined => {
  if (columns === undefined) return undefined;
  return Object.entries(columns).flatMap(([name, text]) => {
    const type = parseColumnType(text);
    return type === undefined ? [] : [{ name, type, nullable: true }];
  });
};

const largest = (left: string | number | null, right: unknown): string | number | null => {
  if (typeof right !== "string" && typeof right !== "number") return left;
  if (left === null) return right;
  return right > left ? right : left;
};

const createSource = (client: HttpClient): Source => ({
  // An HTTP API does not tell what it has.
  discover: () => Promise.resolve([]),

  async *read(request: StreamRequest): AsyncGenerator<Batch> {
    const options = request.options as unknown as HttpSourceOptions;
    if (request.query !== undefined)
      throw new DownbeatError("SOURCE_OPTIONS_INVALID", "an HTTP API is read by stream; query parameters go into from.params");
    const { cursor } = request;
    if (cursor !== undefined && options.since_param === undefined)
      throw new DownbeatError("CURSOR_INVALID", "cursor needs since_param: the query parameter that takes its last value");
    let last = cursor === undefined ? null : (request.position as string | number | null);
    const since: Record<string, string> = options.since_param !== undefined && last !== null ? { [options.since_param]: String(last) } : {};
    const declared = declaredColumns(options);
    let columns: readonly Column[] = declared ?? [];
    let number = 0;
    for await (const { records, isLast } of pages(client, request.stream, options, since)) {
      number += 1;
      const rows: Row[] = [];
      const rejects = [];
      for (const [index, record] of records.entries()) {
        if (typeof record === "object" && record !== null && !Array.isArray(record)) rows.push(record as Row);
        else
          rejects.push({
            where: `record ${index + 1} of page ${number}`,
            code: "SOURCE_DATA_INVALID" as const,
            reason: "is not a JSON object",
            raw: JSON.stringify(record),
          });
      }
      if (cursor !== undefined) for (const row of rows) last = largest(last, row[cursor]);
      if (declared === undefined) columns = inferColumns(rows, columns);
      // Pages may shift while they are read, so only the end is a place to go on from.
      const position = isLast && cursor !== undefined ? last : null;
      yield fromRows(columns, rows, { position, rejects, where: (index) => `record ${index + 1} of page ${number}` });
    }
  },
});

const createPublisher = (client: HttpClient, { progress }: ConnectorContext): Publisher => ({
  async publish(batches, request) {
    const { path, method, batch_size: size, body } = request.options as unknown as HttpPublishOptions;
    const perMessage = body === "row" ? 1 : size;
    let pending: Json[] = [];
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
    for await (const batch of batches) {
      pending.push(...toRows(batch));
      while (pending.length >= perMessage) {
        await send(pending.slice(0, perMessage));
        pending = pending.slice(perMessage);
      }
    }
    if (pending.length > 0) await send(pending);
    return figures;
  },
});

const createCaller = (client: HttpClient): HttpCaller => ({
  async call({ method, path = "", headers = {}, query = {}, body, idempotencyKey }) {
    const answer = await client.send(
      {
        method,
        url: client.url(path, query),
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), "idempotency-key": idempotencyKey, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      "operator",
    );
    return {
      status: answer.status,
      body: JSON.parse(
        JSON.stringify(answer.body ?? null, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value)),
      ) as Json,
    };
  },
});
