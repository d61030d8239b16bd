// Who writes a flow: a note in the description of a table of the flow's own. The next attempt finds in it the session that a dead one has left, and ends it.

import { randomUUID } from "node:crypto";
import type { BigqueryClient } from "./client.ts";
import { ensureDataset, tablePath, type TableResource, unlessThere } from "./datasets.ts";
import { ApiFailure, isFailure } from "./errors.ts";

interface Note {
  readonly attempt: string;
  readonly session: string | null;
}

const MOST_TRIES = 10;

export class AttemptNote {
  readonly #client: BigqueryClient;
  readonly #dataset: string;
  readonly #table: string;
  readonly #attempt = randomUUID();
  #etag = "";

  constructor(client: BigqueryClient, dataset: string, table: string) {
    this.#client = client;
    this.#dataset = dataset;
    this.#table = table;
  }

  /** Takes the flow over; gives the session that an earlier attempt has noted. */
  async claim(): Promise<string | undefined> {
    for (let tries = 1; ; tries += 1) {
      const found = await this.#find();
      const taken = found === undefined ? await this.#make() : await this.#write({ attempt: this.#attempt, session: null }, found.etag);
      if (taken !== undefined) {
        this.#etag = taken.etag;
        return found?.note?.session ?? undefined;
      }
      if (tries === MOST_TRIES) throw new ApiFailure(0, "backendError", `too many attempts begin at once, by table ${this.#table}`);
    }
  }

  /** Before its transaction begins: false = another attempt has taken over. */
  async noteSession(session: string | null): Promise<boolean> {
    const note: Note = { attempt: this.#attempt, session };
    const written = await this.#write(note, this.#etag);
    // The answer to an earlier call may have been lost.
    const now = written ?? (await this.#find());
    const isOurs = written !== undefined || (now as { readonly note?: Note } | undefined)?.note?.attempt === this.#attempt;
    if (now !== undefined && isOurs) this.#etag = now.etag;
    return isOurs;
  }

  async isOurs(): Promise<boolean> {
    return (await this.#find())?.note?.attempt === this.#attempt;
  }

  async #find(): Promise<{ readonly etag: string; readonly note: Note | undefined } | undefined> {
    const found = await this.#client.find<TableResource>({ path: tablePath(this.#dataset, this.#table) });
    return found === undefined ? undefined : { etag: found.etag, note: noteIn(found.description) };
  }

  async #make(): Promise<TableResource | undefined> {
    await ensureDataset(this.#client, this.#dataset);
    const tableReference = { projectId: this.#client.project, datasetId: this.#dataset, tableId: this.#table };
    const description = JSON.stringify({ attempt: this.#attempt, session: null } satisfies Note);
    const body = { tableReference, description, schema: { fields: [{ name: "see_description", type: "STRING" }] } };
    return this.#client.call<TableResource>({ method: "POST", path: tablePath(this.#dataset), body }).catch(unlessThere);
  }

  /** Undefined: it is not as it was when `etag` was read. */
  async #write(note: Note, etag: string): Promise<TableResource | undefined> {
    const path = tablePath(this.#dataset, this.#table);
    try {
      const body = { description: JSON.stringify(note) };
      return await this.#client.call<TableResource>({ method: "PATCH", path, body, headers: { "if-match": etag } });
    } catch (error) {
      if (isFailure(error, "conditionNotMet")) return undefined;
      throw error;
    }
  }
}

const noteIn = (description: string | undefined): Note | undefined => {
  try {
    return JSON.parse(description ?? "") as Note;
  } catch {
    // Somebody has written something else there.
    return undefined;
  }
};
