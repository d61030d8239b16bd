// The swap of a replace where tables cannot be renamed within a transaction: docs/decisions/0019.

import { quoteIdentifier, quoteTable } from "./names.ts";
import type { InsertColumn, LoadSession, TableName } from "./session.ts";

/** Staging stays for the caller to drop. */
export const swapRows = async (
  session: Pick<LoadSession, "run">,
  staging: TableName,
  target: TableName,
  columns: readonly InsertColumn[] | null,
): Promise<void> => {
  const names = (columns ?? []).map(({ name }) => quoteIdentifier(name)).join(", ");
  await session.run(`delete from ${quoteTable(target)} where true`);
  await session.run(`insert into ${quoteTable(target)} (${names}) select ${names} from ${quoteTable(staging)}`);
};
