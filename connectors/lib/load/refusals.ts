// What no load does, wherever it goes: merge without a key, or take deletions where it does not merge.

import { DownbeatError } from "../../../core/errors.ts";
import type { LoadTarget } from "../../connector.ts";

export const refuseKeyless = ({ mode, keyColumns, table }: LoadTarget): void => {
  if (mode !== "merge" || keyColumns.length > 0) return;
  throw new DownbeatError("DESTINATION_TABLE_INVALID", `table ${table}: mode merge needs key columns; write to.key: [id]`);
};

export const refuseChanges = ({ mode, table }: LoadTarget): void => {
  if (mode === "merge") return;
  throw new DownbeatError(
    "DESTINATION_TABLE_INVALID",
    `table ${table}: the stream tells of changes and deletions, which mode ${mode} cannot apply; write to.mode: merge and to.key`,
  );
};
