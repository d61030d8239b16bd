// Statements of one load: by themselves, or in a transaction of a session, which begins as late as it can.

import { setTimeout as pause } from "node:timers/promises";
import { DownbeatError } from "../../core/errors.ts";
import type { AttemptNote } from "./attempt-note.ts";
import type { BigqueryClient } from "./client.ts";
import { ApiFailure } from "./errors.ts";
import { type Page, type QueryParameter, runQuery } from "./jobs.ts";

interface Statement {
  readonly sql: string;
  readonly params: readonly QueryParameter[];
  readonly changed: number | null;
}

/** Rows that an answer has at once: Downbeat's own statements ask for few. */
const PAGE_ROWS = 10_000;
const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 1_000;
const END_MS = 5_000;

export class Transaction {
  readonly #client: BigqueryClient;
  readonly #note: AttemptNote | undefined;
  #session: string | undefined;
  #state: "none" | "begun" | "failed" = "none";
  /** What the open transaction has done, for one that sees more. */
  #done: Statement[] = [];

  /** `note`: of a load; what only reads has none. */
  constructor(client: BigqueryClient, note?: AttemptNote) {
    this.#client = client;
    this.#note = note;
  }

  get hasBegun(): boolean {
    return this.#state !== "none";
  }

  /** A statement that is no part of the transaction, or only reads in it. */
  async run(sql: string, params: readonly QueryParameter[]): Promise<Page> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#send(sql, params);
      } catch (error) {
        const mayPass = error instanceof ApiFailure && /rateLimitExceeded$/i.test(error.reason) && tries < MOST_TRIES;
        if (this.hasBegun || !mayPass) throw await this.#failure(error);
        // So many definitions of a table, so many changes at once: BigQuery has done nothing.
        await pause(FIRST_PAUSE_MS * 2 ** (tries - 1), undefined, { signal: this.#client.signal });
      }
    }
  }

  /** In the session: what makes temporary tables. */
  async runInSession(sql: string): Promise<Page> {
    await this.#openSession();
    return this.run(sql, []);
  }

  /** In the transaction. */
  async change(sql: string, params: readonly QueryParameter[]): Promise<Page> {
    try {
      await this.#begin();
      const page = await this.#send(sql, params);
      this.#done.push({ sql, params, changed: page.changed });
      return page;
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /** A transaction sees what was there when it began: begins anew, with all that was done in it, so that later rows are seen. */
  async renew(): Promise<void> {
    if (this.#state !== "begun") return;
    const done = this.#done;
    await this.rollback();
    for (const { sql, params, changed } of done) {
      const again = await this.change(sql, params);
      if (again.changed === changed) continue;
      throw new DownbeatError("DESTINATION_UNAVAILABLE", `${this.#client.what}: rows were changed meanwhile by somebody else; try again`, {
        details: { conflict: "possible" },
      });
    }
  }

  async commit(): Promise<void> {
    if (this.#state === "none") return;
    try {
      await this.#send("commit transaction", []);
      this.#state = "none";
      this.#done = [];
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /** After a failure nobody knows what the session is in: it ends, and all that is open in it. */
  async rollback(): Promise<void> {
    const state = this.#state;
    this.#state = "none";
    this.#done = [];
    if (state === "none") return;
    try {
      if (state === "failed") await this.#endSession();
      else await this.#send("rollback transaction", []);
    } catch (error) {
      await this.#endSession();
      throw this.#client.error(error);
    }
  }

  /** Takes leave: the next attempt has nothing to end. */
  async end(): Promise<void> {
    if (this.#session === undefined) return;
    await this.#endSession();
    await this.#note?.noteSession(null).catch(() => undefined);
  }

  async #begin(): Promise<void> {
    if (this.#state === "failed") {
      throw new DownbeatError("DESTINATION_UNAVAILABLE", `${this.#client.what}: the open transaction has failed before; try again`);
    }
    if (this.#state === "begun") return;
    await this.#openSession();
    await this.#send("begin transaction", []);
    this.#state = "begun";
  }

  async #openSession(): Promise<void> {
    if (this.#session !== undefined) return;
    const query = await runQuery(this.#client, "select 1 as one", { createSession: true }, 1);
    this.#session = await query.session();
    if ((await this.#note?.noteSession(this.#session)) !== false) return;
    await this.#endSession();
    throw this.#overtaken();
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await endSession(this.#client, session);
  }

  async #send(sql: string, params: readonly QueryParameter[]): Promise<Page> {
    this.#client.signal.throwIfAborted();
    return (await runQuery(this.#client, sql, { params, session: this.#session }, PAGE_ROWS)).page;
  }

  async #failure(error: unknown): Promise<unknown> {
    if (this.hasBegun) this.#state = "failed";
    const failure = this.#client.error(error);
    if (!(failure instanceof DownbeatError) || this.#note === undefined || this.#session === undefined) return failure;
    // Whatever BigQuery says of a session that was ended.
    const isOurs = await this.#note.isOurs().catch(() => true);
    if (isOurs) return failure;
    this.#session = undefined;
    return this.#overtaken(failure);
  }

  #overtaken(cause?: unknown): DownbeatError {
    return new DownbeatError(
      "DESTINATION_UNAVAILABLE",
      `${this.#client.what}: another attempt of this load has taken over and ended this one's session; nothing of this chunk stands, try again`,
      { details: { conflict: "possible" }, cause },
    );
  }
}

/** Undoes what is open in it. One that has ended already is all the same, and what does not arrive is made up for by the next attempt. */
export const endSession = async (client: BigqueryClient, session: string): Promise<void> => {
  const query = {
    query: `call bq.abort_session('${session.replaceAll(/[\\']/g, "\\$&")}')`,
    useLegacySql: false,
    location: await client.location(),
  };
  const signal = AbortSignal.timeout(END_MS);
  await client.call({ method: "POST", path: "queries", body: { ...query, timeoutMs: END_MS }, signal }).catch(() => undefined);
};
