// Datasets and tables by the API's own calls: quicker than queries, and free.

import type { BigqueryClient } from "./client.ts";
import { isFailure } from "./errors.ts";
import type { Field } from "./jobs.ts";

export interface TableResource {
  readonly etag: string;
  readonly description?: string;
  readonly schema?: { readonly fields?: readonly Field[] };
}

export const tablePath = (dataset: string, table?: string): string =>
  `datasets/${encodeURIComponent(dataset)}/tables${table === undefined ? "" : `/${encodeURIComponent(table)}`}`;

/** Looked up first: making one asks for the right to do so even where it is there. */
export const ensureDataset = async (client: BigqueryClient, name: string): Promise<void> => {
  if ((await client.find({ path: `datasets/${encodeURIComponent(name)}` })) !== undefined) return;
  const body = { datasetReference: { projectId: client.project, datasetId: name }, location: await client.location() };
  await client.call({ method: "POST", path: "datasets", body }).catch(unlessThere);
};

/** For a failure to make what somebody else has made meanwhile. */
export const unlessThere = (error: unknown): undefined => {
  if (!isFailure(error, "duplicate")) throw error;
};
