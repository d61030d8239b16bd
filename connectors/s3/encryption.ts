// How the server is asked to encrypt what is written, as requests say it.

import type * as Sdk from "@aws-sdk/client-s3";
import type { S3Config } from "./spec.ts";

export type Encryption = Pick<Sdk.PutObjectCommandInput, "ServerSideEncryption" | "SSEKMSKeyId">;

export const encryptionOf = ({ server_side_encryption: algorithm, kms_key_id: key }: S3Config): Encryption => ({
  ...(algorithm === undefined ? {} : { ServerSideEncryption: algorithm }),
  ...(key === undefined ? {} : { SSEKMSKeyId: key }),
});
