// Jobs: queries and loads that are begun, waited for, and cancelled when the signal says so.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { BigqueryClient } from "./client.ts";
import { ApiFailure, isFailure } from "./errors.ts";

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly mode?: string;
  readonly precision?: string;
  readonly scale?: string;
  readonly fields?: readonly Field[];
  readonly defaultValueExpression?: string;
}

/** Texts, or what lies in them: lists and records. */
export type Cell = string | null | readonly { readonly v: Cell }[] | { readonly f: readonly { readonly v: Cell }[] };
export type Cells = readonly { readonly v: Cell }[];

export interface Page {
  readonly fields: readonly Field[];
  readonly rows: readonly { readonly f: Cells }[];
  readonly next: string | undefined;
  /** Rows that the statement inserted, updated and deleted; null for others. */
  readonly changed: number | null;
}

export interface QueryParameter {
  readonly name: string;
  readonly parameterType: { readonly type: string };
  readonly parameterValue: { readonly value: string | null };
}

export interface QuerySettings {
  readonly params?: readonly QueryParameter[];
  readonly createSession?: boolean;
  readonly session?: string | undefined;
  /** Where unqualified tables are. */
  readonly dataset?: string;
}

interface JobReference {
  readonly projectId: string;
  readonly jobId: string;
  readonly location: string;
}

interface Job {
  readonly jobReference: JobReference;
  readonly status: { readonly state: string; readonly errorResult?: { readonly reason?: string; readonly message?: string } };
  readonly statistics?: { readonly sessionInfo?: { readonly sessionId?: string } };
}

interface QueryResults {
  readonly jobComplete: boolean;
  readonly schema?: { readonly fields?: readonly Field[] };
  readonly rows?: Page["rows"];
  readonly pageToken?: string;
  readonly numDmlAffectedRows?: string;
}

/** Of one long poll. */
const WAIT_MS = 10_000;
const CANCEL_MS = 5_000;
const [LEAST_PAUSE_MS, MOST_PAUSE_MS] = [100, 2_000];

/** The id is ours: a call that is made again begins no second job. */
const newReference = async (client: BigqueryClient): Promise<JobReference> => ({
  projectId: client.project,
  jobId: `downbeat_${randomUUID()}`,
  location: await client.location(),
});

const begin = async (client: BigqueryClient, reference: JobReference, configuration: object): Promise<void> => {
  try {
    await client.call({ method: "POST", path: "jobs", body: { jobReference: reference, configuration } });
  } catch (error) {
    if (!isFailure(error, "duplicate")) throw error;
  }
};

const jobPath = ({ jobId }: JobReference): string => `jobs/${jobId}`;

const lookAt = async (client: BigqueryClient, reference: JobReference): Promise<Job> => {
  const job = await client.call<Job>({ path: jobPath(reference), query: { location: reference.location } });
  const { errorResult } = job.status;
  if (errorResult === undefined) return job;
  throw new ApiFailure(400, errorResult.reason ?? "invalid", errorResult.message ?? "the job failed");
};

/** Nobody waits for the job any more; whether this arrives is all the same. */
const cancelling = async <Done>(client: BigqueryClient, reference: JobReference, work: () => Promise<Done>): Promise<Done> => {
  try {
    return await work();
  } catch (error) {
    if (client.signal.aborted) {
      const { location } = reference;
      const signal = AbortSignal.timeout(CANCEL_MS);
      client.call({ method: "POST", path: `${jobPath(reference)}/cancel`, query: { location }, signal }).catch(() => undefined);
    }
    throw error;
  }
};

export interface Query {
  /** The first page, once the query has ended. */
  readonly page: Page;
  pageAfter(token: string): Promise<Page>;
  /** Of a query that creates one. */
  session(): Promise<string>;
}

export const runQuery = async (client: BigqueryClient, sql: string, settings: QuerySettings, pageRows: number): Promise<Query> => {
  const { params = [], createSession = false, session, dataset } = settings;
  const reference = await newReference(client);
  const configuration = {
    labels: { application: "downbeat" },
    query: {
      query: sql,
      useLegacySql: false,
      ...(params.length === 0 ? {} : { parameterMode: "NAMED", queryParameters: params }),
      ...(createSession ? { createSession } : {}),
      ...(session === undefined ? {} : { connectionProperties: [{ key: "session_id", value: session }] }),
      ...(dataset === undefined ? {} : { defaultDataset: { projectId: client.project, datasetId: dataset } }),
    },
  };
  const pageAt = async (token?: string): Promise<Page> => {
    const query = {
      location: reference.location,
      timeoutMs: String(WAIT_MS),
      maxResults: String(pageRows),
      "formatOptions.useInt64Timestamp": "true",
      ...(token === undefined ? {} : { pageToken: token }),
    };
    for (;;) {
      const found = await client.call<QueryResults>({ path: `queries/${reference.jobId}`, query });
      if (!found.jobComplete) continue;
      const { schema, rows = [], pageToken, numDmlAffectedRows: changed } = found;
      return { fields: schema?.fields ?? [], rows, next: pageToken, changed: changed === undefined ? null : Number(changed) };
    }
  };
  return cancelling(client, reference, async () => {
    await begin(client, reference, configuration);
    const page = await pageAt();
    return {
      page,
      pageAfter: pageAt,
      session: async () => {
        const id = (await lookAt(client, reference)).statistics?.sessionInfo?.sessionId;
        if (id === undefined) throw new ApiFailure(0, "backendError", "no session was created");
        return id;
      },
    };
  });
};

/** Appends the rows of a Parquet file to a table that is there. */
export const loadParquet = async (
  client: BigqueryClient,
  table: { readonly datasetId: string; readonly tableId: string },
  parts: readonly Uint8Array[],
): Promise<void> => {
  const reference = await newReference(client);
  const load = {
    destinationTable: { projectId: client.project, ...table },
    sourceFormat: "PARQUET",
    createDisposition: "CREATE_NEVER",
    writeDisposition: "WRITE_APPEND",
  };
  await cancelling(client, reference, async () => {
    try {
      await client.upload({ jobReference: reference, configuration: { labels: { application: "downbeat" }, load } }, parts);
    } catch (error) {
      if (!isFailure(error, "duplicate")) throw error;
    }
    for (let wait = LEAST_PAUSE_MS; (await lookAt(client, reference)).status.state !== "DONE"; wait = Math.min(wait * 2, MOST_PAUSE_MS)) {
      await pause(wait, undefined, { signal: client.signal });
    }
  });
};
