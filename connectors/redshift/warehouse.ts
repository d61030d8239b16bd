// Redshift's SQL role.

import type { ConnectorContext, SqlWarehouse } from "../connector.ts";
import { createPgWarehouse } from "../postgres/warehouse.ts";
import { connectRedshift } from "./client.ts";
import { redshiftError } from "./errors.ts";
import { readColumns } from "./read-columns.ts";
import type { RedshiftConfig } from "./spec.ts";
import { redshiftLexis } from "./sql-lexis.ts";

export const createRedshiftWarehouse = (config: RedshiftConfig, context: ConnectorContext, what: string): SqlWarehouse =>
  createPgWarehouse(
    {
      connect: () => connectRedshift(config, context, "sql", what),
      failure: (error) => redshiftError(error, "sql", what, context.signal),
      lexis: redshiftLexis,
      readColumns: (_, fields) => Promise.resolve(readColumns(fields)),
    },
    context,
    what,
  );
