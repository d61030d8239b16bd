// What a transactional SQL system knows of a load's target: the table, and the key's last load in the bookkeeping.

import type { LoadTarget, TargetState } from "../../connector.ts";
import { parseTable, quoteTable } from "./names.ts";
import type { LoadSession } from "./session.ts";

/** Closes the session. */
export const describeSqlTarget = async (opened: LoadSession, { key, table }: Pick<LoadTarget, "key" | "table">): Promise<TargetState> => {
  await using session = opened;
  const exists = (await session.describe(parseTable(table, session.dialect))) !== undefined;
  const loads = session.dialect.ownTables.table("loads");
  if ((await session.describe(loads)) === undefined) return { exists };
  const { rows } = await session.run(
    `select "origin", "mode", "rows", "done" from ${quoteTable(loads)} where "key" = $1 order by "started_at" desc, "updated_at" desc limit 1`,
    [key],
  );
  const [row] = rows;
  if (row === undefined) return { exists };
  const { origin, mode, rows: committed, done } = row;
  const isDone = done === true;
  return { exists, lastLoad: { origin: String(origin), rows: Number(committed), done: isDone, staged: mode === "replace" && !isDone } };
};
