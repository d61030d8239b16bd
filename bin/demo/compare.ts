// Compares every warehouse total with its source.

import { grouped } from "../table.ts";
import type { ClicksSource } from "./clicks.ts";
import type { LakeSource } from "./lake.ts";
import type { OrdersSource } from "./orders.ts";
import { sameTotals, TABLES, type DemoTable, type Totals } from "./totals.ts";
import type { Warehouse } from "./warehouses.ts";

export interface Compared {
  readonly rows: readonly (readonly string[])[];
  readonly isEqual: boolean;
}

export interface ComparedSources {
  readonly orders: OrdersSource;
  readonly clicks: ClicksSource;
  readonly lake: LakeSource;
}

const sourceTotals = (table: DemoTable, { orders, clicks, lake }: ComparedSources): Promise<Totals> => {
  if (table.task === "orders") return orders.totals();
  return table.task === "clicks" ? clicks.totals() : lake.totals(table);
};

export const compareTotals = async (warehouses: readonly Warehouse[], sources: ComparedSources): Promise<Compared> => {
  const rows: string[][] = [];
  let isEqual = true;
  for (const table of TABLES) {
    const source = await sourceTotals(table, sources);
    rows.push([table.table, "source", grouped(source.rows), grouped(source.ids), source.sum, ""]);
    for (const warehouse of warehouses) {
      const found = await warehouse.totals(table);
      const equal = sameTotals(source, found);
      if (!equal) isEqual = false;
      rows.push(["", warehouse.name, grouped(found.rows), grouped(found.ids), found.sum, equal ? "yes" : "WRONG"]);
    }
  }
  return { rows, isEqual };
};
