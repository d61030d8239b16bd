// Calls of BigQuery's REST API v2: credentials, calls made again where that may help, uploads, and an end when the signal says so.
// https://cloud.google.com/bigquery/docs/reference/rest

import { setTimeout as pause } from "node:timers/promises";
import { GoogleAuth } from "google-auth-library";
import type { ConnectorContext } from "../connector.ts";
import { ApiFailure, bigqueryError, isFailure, isPassing, type Side } from "./errors.ts";
import type { BigqueryConfig } from "./spec.ts";

const GOOGLE = "https://bigquery.googleapis.com";
const SCOPE = "https://www.googleapis.com/auth/bigquery";
const MOST_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;

export interface Call {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below the project: `jobs`, `datasets/x/tables/y`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the context's. What is to be cleared away must be so after its end, too. */
  readonly signal?: AbortSignal;
}

export class BigqueryClient {
  readonly project: string;
  readonly signal: AbortSignal;
  readonly what: string;
  readonly #config: BigqueryConfig;
  readonly #side: Side;
  readonly #auth: GoogleAuth | undefined;
  #location: Promise<string> | undefined;

  constructor(config: BigqueryConfig, { signal }: Pick<ConnectorContext, "signal">, side: Side, what: string) {
    this.project = config.project;
    this.signal = signal;
    this.what = what;
    this.#config = config;
    this.#side = side;
    const credentials = config.credentials === undefined ? undefined : (JSON.parse(config.credentials) as object);
    // An emulator wants none.
    if (credentials === undefined && config.endpoint !== undefined) return;
    this.#auth = new GoogleAuth({ scopes: [SCOPE], ...(credentials === undefined ? {} : { credentials }) });
    // Tokens signed here: no further host has to be reached for them. https://google.aip.dev/auth/4111
    this.#auth.useJWTAccessWithScope = true;
  }

  /** Of jobs and of datasets that are made: the configured one, or that of the connection's dataset. */
  location(): Promise<string> {
    const { location, dataset } = this.#config;
    this.#location ??=
      location === undefined
        ? this.find<{ location: string }>({ path: `datasets/${encodeURIComponent(dataset)}` }).then((found) => found?.location ?? "US")
        : Promise.resolve(location);
    return this.#location;
  }

  async call<Answer>(call: Call): Promise<Answer> {
    const { method = "GET", path, query = {}, body, headers = {}, signal } = call;
    const url = this.#url(`/bigquery/v2/projects/${encodeURIComponent(this.project)}/${path}`, query);
    const given = {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ?? this.signal,
    };
    const response = await this.#again(given.signal, () => this.#sendOnce(url, given));
    return (response.status === 204 ? undefined : await response.json().catch(() => undefined)) as Answer;
  }

  /** Undefined: there is no such thing. */
  async find<Answer>(call: Call): Promise<Answer | undefined> {
    try {
      return await this.call<Answer>(call);
    } catch (error) {
      if (isFailure(error, "notFound")) return undefined;
      throw error;
    }
  }

  /** A job with the bytes that it loads, begun anew as a whole where it fails: one that is there already by its id is a duplicate. https://cloud.google.com/bigquery/docs/reference/api-uploads#resumable */
  upload(job: unknown, parts: readonly Uint8Array[]): Promise<void> {
    const url = this.#url(`/upload/bigquery/v2/projects/${encodeURIComponent(this.project)}/jobs`, { uploadType: "resumable" });
    const bytes = new Blob(parts as Uint8Array<ArrayBuffer>[]);
    const type = "application/octet-stream";
    const { signal } = this;
    return this.#again(signal, async () => {
      const started = await this.#sendOnce(url, {
        method: "POST",
        headers: { "content-type": "application/json", "x-upload-content-type": type, "x-upload-content-length": String(bytes.size) },
        body: JSON.stringify(job),
        signal,
      });
      const place = started.headers.get("location");
      if (place === null) throw new ApiFailure(0, "network", "the upload was given no place to go to");
      const sent = await this.#sendOnce(new URL(place), { method: "PUT", headers: { "content-type": type }, body: bytes, signal });
      await sent.body?.cancel();
    });
  }

  /** As a DownbeatError. */
  error(error: unknown): unknown {
    return bigqueryError(error, this.#side, this.what, this.signal);
  }

  #url(path: string, query: Readonly<Record<string, string>>): URL {
    const url = new URL(path, this.#config.endpoint ?? GOOGLE);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  /** A call that may go through when it is made again is made again. */
  async #again<Answer>(signal: AbortSignal, send: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send();
      } catch (error) {
        signal.throwIfAborted();
        if (attempt === MOST_ATTEMPTS || !isPassing(error)) throw error;
        await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (1 + Math.random()), undefined, { signal });
      }
    }
  }

  async #sendOnce(url: URL, given: RequestInit & { readonly signal: AbortSignal }): Promise<Response> {
    const headers = new Headers(given.headers);
    const token = await this.#token();
    if (token !== undefined) headers.set("authorization", token);
    const timeout = AbortSignal.timeout(this.#config.request_timeout * 1_000);
    let response: Response;
    try {
      response = await fetch(url, { ...given, headers, signal: AbortSignal.any([given.signal, timeout]) });
    } catch (error) {
      const reason = timeout.aborted ? "no answer came in time" : reasonOf(error);
      throw new ApiFailure(0, "network", `${url.origin} cannot be reached: ${reason}; check endpoint and the network`, { cause: error });
    }
    if (response.ok) return response;
    throw failureOf(response.status, await response.text().catch(() => ""));
  }

  async #token(): Promise<string | undefined> {
    try {
      return (await this.#auth?.getRequestHeaders())?.get("authorization") ?? undefined;
    } catch (error) {
      // The library's errors hold what was sent.
      throw new ApiFailure(401, "noCredentials", `no credentials: ${reasonOf(error)}`);
    }
  }
}

const reasonOf = (error: unknown): string => {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  return cause instanceof Error && cause.message !== "" ? `${message} (${cause.message})` : message;
};

interface ErrorBody {
  readonly error?: { readonly message?: string; readonly errors?: readonly { readonly reason?: string }[] };
}

const REASONS: Readonly<Record<number, string>> = {
  401: "authError",
  403: "accessDenied",
  404: "notFound",
  409: "duplicate",
  412: "conditionNotMet",
};

const failureOf = (status: number, text: string): ApiFailure => {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // A proxy's page.
  }
  const reason = body.error?.errors?.[0]?.reason ?? REASONS[status] ?? (status >= 500 ? "backendError" : "invalid");
  return new ApiFailure(status, reason, body.error?.message ?? `answer ${status}: ${text.slice(0, 200)}`);
};
