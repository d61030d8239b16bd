// The dead letters of a key in a transactional SQL system, page by page, with what their loads wrote to.

import type { DeadLetter } from "../../connector.ts";
import { DownbeatError } from "../../../core/errors.ts";
import { quoteTable } from "./names.ts";
import type { LoadSession } from "./session.ts";

const PAGE = 500;

/** Each page is a look of its own: letters may go and come in between. */
export async function* readSqlLetters(open: () => Promise<LoadSession>, key: string, after: string): AsyncGenerator<readonly DeadLetter[]> {
  await using session = await open();
  const named = (table: string): string => quoteTable(session.dialect.ownTables.table(table));
  if ((await session.describe(session.dialect.ownTables.table("loads"))) === undefined) throw unknownKey(key);
  // Letters in a table that was made without ids have none yet.
  await session.run(`update ${named("dead_letters")} set "id" = ${session.dialect.ownTables.newId} where "key" = $1 and "id" is null`, [
    key,
  ]);
  for (let last = after; ; ) {
    const { rows } = await session.run(
      `select d."id" as letter, d."place" as place, d."raw" as raw, l."table_name" as table_name, l."mode" as mode
       from ${named("dead_letters")} as d left join ${named("loads")} as l on l."key" = d."key" and l."origin" = d."origin"
       where d."key" = $1 and d."id" > $2 order by d."id" limit ${PAGE}`,
      [key, last],
    );
    const letters = rows.map((row): DeadLetter => {
      const [table, mode] = [row["table_name"], row["mode"]];
      return {
        id: String(row["letter"]),
        place: String(row["place"]),
        raw: String(row["raw"]),
        ...(typeof table === "string" && typeof mode === "string" ? { load: { table, mode } } : {}),
      };
    });
    const end = letters.at(-1);
    if (end === undefined && last === "") await refuseUnknown(session, named("loads"), key);
    if (end === undefined) return;
    yield letters;
    last = end.id;
  }
}

/** A key that nobody has loaded under is a slip of the pen, where one without dead letters has none left. */
const refuseUnknown = async (session: LoadSession, loads: string, key: string): Promise<void> => {
  const { rows } = await session.run(`select 1 as one from ${loads} where "key" = $1 limit 1`, [key]);
  if (rows.length === 0) throw unknownKey(key);
};

const unknownKey = (key: string): DownbeatError =>
  new DownbeatError(
    "SOURCE_STREAM_NOT_FOUND",
    `no load has left anything under the key "${key}"; a key is pipeline/task/stream, as the column "key" of the table of dead letters has it`,
  );
