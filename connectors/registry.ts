// The connectors that ship, one line each.

import type { ConnectorSpec } from "./connector.ts";
import { airbyte } from "./airbyte/spec.ts";
import { bigquery } from "./bigquery/spec.ts";
import { duckdb } from "./duckdb/spec.ts";
import { file } from "./file.ts";
import { http } from "./http/spec.ts";
import { kafka } from "./kafka/spec.ts";
import { mysql } from "./mysql/spec.ts";
import { postgres } from "./postgres/spec.ts";
import { redshift } from "./redshift/spec.ts";
import { s3 } from "./s3/spec.ts";
import { singer } from "./singer/spec.ts";
import { snowflake } from "./snowflake/spec.ts";

export const builtinConnectors: readonly ConnectorSpec[] = [
  airbyte,
  bigquery,
  duckdb,
  file,
  http,
  kafka,
  mysql,
  postgres,
  redshift,
  s3,
  singer,
  snowflake,
];
