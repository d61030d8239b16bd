// One HTTP client per opened connection: credentials, rate limit, Retry-After, bounded answers, errors by the table.

import { setTimeout as pause } from "node:timers/promises";
import { DownbeatError, type ErrorCode } from "../../core/errors.ts";
import type { ConnectorContext } from "../connector.ts";
import { parseJson, plainJson } from "../lib/json-text.ts";
import { retryAfterMs } from "../lib/retry-after.ts";
import type { HttpConfig } from "./spec.ts";

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else the text; digits beyond a double are kept. */
  readonly body: unknown;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_WAITS = 10;
const MAX_REDIRECTS = 5;
const SHOWN_BODY = 300;

/** Which side the caller is: the same refusal is a source's or an operator's. */
export type HttpSide = "source" | "operator";

const codes = (
  side: HttpSide,
): { readonly auth: ErrorCode; readonly away: ErrorCode; readonly refused: ErrorCode; readonly missing: ErrorCode } =>
  side === "source"
    ? { auth: "SOURCE_AUTH", away: "SOURCE_UNAVAILABLE", refused: "SOURCE_QUERY_FAILED", missing: "SOURCE_STREAM_NOT_FOUND" }
    : { auth: "HTTP_REFUSED", away: "HTTP_UNAVAILABLE", refused: "HTTP_REFUSED", missing: "HTTP_REFUSED" };

export class HttpClient {
  readonly #config: HttpConfig;
  readonly #context: ConnectorContext;
  #token: { readonly value: string; readonly until: number } | undefined;
  #nextAt = 0;

  constructor(config: HttpConfig, context: ConnectorContext) {
    this.#config = config;
    this.#context = context;
  }

  /** Paths are appended to the base; an absolute address must be on the same host, or the credentials would leave it. */
  url(path: string, query: Readonly<Record<string, string>> = {}): URL {
    const base = new URL(this.#config.base_url);
    const url = /^https?:\/\//i.test(path) ? new URL(path) : new URL(`${base.href.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`);
    if (url.host !== base.host || (base.protocol === "https:" && url.protocol !== "https:")) {
      throw new DownbeatError("HTTP_REFUSED", `${url.origin} is not the connection's host ${base.origin}; the credentials do not go there`);
    }
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  /** Throws for every status that is no success, but those of `accept`; waits for Retry-After where it is short enough, follows redirects of GETs within the host. */
  async send(asked: HttpRequest, side: HttpSide, accept: readonly number[] = []): Promise<HttpAnswer> {
    let request = asked;
    let renewed = false;
    let redirects = 0;
    for (let waits = 0; ; ) {
      const answer = await this.#once(request, side);
      const location = answer.headers.get("location");
      if (answer.status >= 300 && answer.status < 400 && location !== null && request.method === "GET" && redirects < MAX_REDIRECTS) {
        redirects += 1;
        request = { ...request, url: this.url(new URL(location, request.url).href) };
        continue;
      }
      if (answer.status === 401 && this.#config.auth === "oauth2_client_credentials" && !renewed) {
        renewed = true;
        this.#token = undefined;
        continue;
      }
      const retryAfter = retryAfterMs(answer.headers.get("retry-after"));
      if (
        (answer.status === 429 || answer.status === 503) &&
        retryAfter !== undefined &&
        retryAfter <= this.#config.max_retry_after_seconds * 1_000 &&
        waits < MAX_WAITS
      ) {
        waits += 1;
        await this.#wait(retryAfter);
        continue;
      }
      if ((answer.status >= 200 && answer.status < 300) || accept.includes(answer.status)) return answer;
      throw this.#failure(request, answer, side, retryAfter);
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds;
    while (performance.now() < until) {
      this.#context.progress();
      await pause(Math.min(1_000, until - performance.now()), undefined, { signal: this.#context.signal }).catch(() => undefined);
      this.#context.signal.throwIfAborted();
    }
  }

  async #once(request: HttpRequest, side: HttpSide): Promise<HttpAnswer> {
    await this.#takeTurn();
    const { timeout_seconds: seconds } = this.#config;
    const url = new URL(request.url);
    const headers = new Headers({
      accept: "application/json",
      ...this.#config.headers,
      ...request.headers,
      ...(await this.#credentials(url, side)),
    });
    const timeout = AbortSignal.timeout(seconds * 1_000);
    try {
      const response = await fetch(url, {
        method: request.method,
        headers,
        redirect: "manual",
        signal: AbortSignal.any([this.#context.signal, timeout]),
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      return { status: response.status, headers: response.headers, body: await readBody(response, side) };
    } catch (error) {
      if (error instanceof DownbeatError) throw error;
      this.#context.signal.throwIfAborted();
      const cause =
        error instanceof Error && error.cause instanceof Error
          ? error.cause.message
          : error instanceof Error
            ? error.message
            : String(error);
      const reason = timeout.aborted ? `no answer within ${seconds} s` : cause;
      throw new DownbeatError(codes(side).away, `${request.method} ${shown(request.url)}: ${reason}`, { cause: error });
    }
  }

  async #takeTurn(): Promise<void> {
    const rate = this.#config.requests_per_second;
    if (rate === undefined) return;
    const at = Math.max(this.#nextAt, performance.now());
    this.#nextAt = at + 1_000 / rate;
    if (at > performance.now()) await this.#wait(at - performance.now());
  }

  async #credentials(url: URL, side: HttpSide): Promise<Record<string, string>> {
    const config = this.#config;
    switch (config.auth) {
      case "none":
        return {};
      case "api_key":
        if (config.api_key_query === undefined) return { [config.api_key_header ?? "x-api-key"]: needed(config.api_key, "api_key") };
        url.searchParams.set(config.api_key_query, needed(config.api_key, "api_key"));
        return {};
      case "bearer":
        return { authorization: `Bearer ${needed(config.token, "token")}` };
      case "basic":
        return {
          authorization: `Basic ${Buffer.from(`${needed(config.user, "user")}:${needed(config.password, "password")}`).toString("base64")}`,
        };
      case "oauth2_client_credentials":
        return { authorization: `Bearer ${await this.#accessToken(side)}` };
    }
  }

  /** RFC 6749, 4.4. The token is kept until shortly before it ends. */
  async #accessToken(side: HttpSide): Promise<string> {
    if (this.#token !== undefined && this.#token.until > performance.now()) return this.#token.value;
    const { token_url, client_id, client_secret, scope, timeout_seconds } = this.#config;
    const tokenUrl = needed(token_url, "token_url");
    const form = new URLSearchParams({ grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) });
    const basic = Buffer.from(
      `${encodeURIComponent(needed(client_id, "client_id"))}:${encodeURIComponent(needed(client_secret, "client_secret"))}`,
    ).toString("base64");
    let response: Response;
    try {
      response = await fetch(tokenUrl, {
        method: "POST",
        headers: { authorization: `Basic ${basic}`, "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
        body: form.toString(),
        redirect: "error",
        signal: AbortSignal.any([this.#context.signal, AbortSignal.timeout(timeout_seconds * 1_000)]),
      });
    } catch (error) {
      this.#context.signal.throwIfAborted();
      throw new DownbeatError(codes(side).away, `the token endpoint ${shown(new URL(tokenUrl))} does not answer`, { cause: error });
    }
    const answer = (await response.json().catch(() => ({}))) as { readonly access_token?: unknown; readonly expires_in?: unknown };
    if (response.status === 429 || response.status >= 500) {
      const retryAfter = retryAfterMs(response.headers.get("retry-after"));
      throw new DownbeatError(
        codes(side).away,
        `the token endpoint ${shown(new URL(tokenUrl))} answered ${response.status}`,
        retryAfter === undefined ? {} : { retryAfterMs: retryAfter },
      );
    }
    if (!response.ok || typeof answer.access_token !== "string") {
      throw new DownbeatError(
        codes(side).auth,
        `the token endpoint ${shown(new URL(tokenUrl))} gave no token (status ${response.status}); check client_id, client_secret and scope`,
      );
    }
    const seconds = typeof answer.expires_in === "number" ? answer.expires_in : 300;
    this.#token = { value: answer.access_token, until: performance.now() + Math.max(seconds - 30, 1) * 1_000 };
    return answer.access_token;
  }

  #failure(request: HttpRequest, answer: HttpAnswer, side: HttpSide, retryAfter: number | undefined): DownbeatError {
    const { status, body } = answer;
    const known = codes(side);
    const said = typeof body === "string" ? body : plainJson(body);
    const message = `${request.method} ${shown(request.url)} answered ${status}${said === "" ? "" : `: ${said.slice(0, SHOWN_BODY)}`}`;
    const options = { details: { status }, ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }) };
    if (status === 429 || (status === 503 && retryAfter !== undefined)) return new DownbeatError("RATE_LIMITED", message, options);
    if (status === 401 || status === 403) return new DownbeatError(known.auth, `${message}; check the connection's credentials`, options);
    if (status === 404) return new DownbeatError(known.missing, message, options);
    if (status >= 300 && status < 400)
      return new DownbeatError(known.refused, `${message}: a redirect that is not followed; use the address that it leads to`, options);
    if (status === 408 || status >= 500) return new DownbeatError(known.away, message, options);
    return new DownbeatError(known.refused, message, options);
  }
}

const needed = (value: string | undefined, name: string): string => {
  if (value !== undefined) return value;
  throw new DownbeatError("CONNECTION_INVALID", `the connection's auth needs "${name}"`);
};

/** Queries may carry keys: they are not shown. */
const shown = (url: URL): string => `${url.origin}${url.pathname}`;

const readBody = async (response: Response, side: HttpSide): Promise<unknown> => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new DownbeatError("SOURCE_DATA_INVALID", `an answer is over ${MAX_ANSWER_BYTES} bytes; ask for smaller pages`);
    chunks.push(part);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "" || !/json/i.test(response.headers.get("content-type") ?? "")) return text;
  try {
    return parseJson(text);
  } catch (error) {
    // Only who reads rows needs them: a request that was carried out must not fail, and so be repeated, for its answer's sake.
    if (side === "operator" || !response.ok) return text;
    throw new DownbeatError("SOURCE_DATA_INVALID", `an answer says it is JSON and is not: ${text.slice(0, SHOWN_BODY)}`, { cause: error });
  }
};
