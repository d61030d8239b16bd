// Assets: what tasks make. A table that a task loads is one by itself; everything else is named in the definition.

import type { TaskDefinition } from "./definition.ts";
import { isTemplate } from "./templates.ts";

/** "connection/table", the name that others wait for. */
const tableAsset = (connection: string, table: string): string => `${connection}/${table}`;

/** Each once. A table whose name is known in a run alone is none, unless `assets` names it. */
export const assetsOf = ({ id, assets = [], transfer, publish }: TaskDefinition): readonly string[] => {
  const own: string[] = [];
  if (transfer !== undefined) own.push(tableAsset(transfer.to.connection, transfer.to.table));
  if (publish !== undefined) own.push(tableAsset(publish.to.connection, publish.to.table ?? id));
  return [...new Set([...own.filter((name) => !isTemplate(name)), ...assets])];
};
