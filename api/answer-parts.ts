// What answers about different things carry alike.

import { z } from "zod";

export const moment = z.iso.datetime();
/** With the offset of a zone. */
export const localMoment = z.iso.datetime({ offset: true });

export const json = z.unknown();
export const jsonObject = z.record(z.string(), z.unknown());
export const error = z.object({ code: z.string(), message: z.string(), details: json.optional() });

export const pageOf = (item: z.ZodType, more: z.ZodRawShape = {}) =>
  z.object({ items: z.array(item), next: z.string().nullable().describe("The `cursor` of the next page; null after the last"), ...more });
