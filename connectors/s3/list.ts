// Lists objects of a bucket, page by page.

import type * as Sdk from "@aws-sdk/client-s3";
import type { ConnectorContext } from "../connector.ts";
import type { ListedObject } from "../lib/object-source.ts";
import { s3Call } from "./client.ts";

export interface S3Listing {
  readonly client: Sdk.S3Client;
  readonly sdk: typeof Sdk;
  readonly bucket: string;
  readonly context: ConnectorContext;
}

export interface SizedObject extends ListedObject {
  readonly size: number;
}

/** Manifests and dead letters of loads are nobody's data. */
export const isBookkeeping = (key: string): boolean => key.split("/").includes("_downbeat");

/** What begins with `under`, in key order, until there are at least `most`; empty objects that stand for folders are left out. */
export const listObjects = async (
  { client, sdk, bucket: Bucket, context }: S3Listing,
  under: string,
  most: number,
): Promise<readonly SizedObject[]> => {
  const found: SizedObject[] = [];
  let token: string | undefined;
  do {
    const page = await s3Call(`list ${Bucket}/${under}`, "source", context, () =>
      client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: under, ...(token === undefined ? {} : { ContinuationToken: token }) }), {
        abortSignal: context.signal,
      }),
    );
    for (const { Key: key = "", ETag: tag = "", Size: size = 0 } of page.Contents ?? []) {
      if (!key.endsWith("/") || size > 0) found.push({ key, tag: tag.replaceAll('"', ""), size });
    }
    context.progress();
    token = page.NextContinuationToken;
  } while (token !== undefined && found.length < most);
  return found;
};
