// `npm run bench:backfills`: partitions by the hundred thousand, planned, begun and listed by page: of a fixed length, by a cron schedule, by the calendar.

import { formatTable, grouped } from "../bin/table.ts";
import { formatSpread, type Spread, spreadOf } from "./lib/pairs.ts";
import { type Stack, withStack } from "./lib/stack.ts";
import { chain, definitionOf } from "./overhead/shapes.ts";

const REPETITIONS = Number(process.env["REPETITIONS"] ?? 3);
/** Planning keeps the API from everything else. */
const ALLOWED_SECONDS = 1;
const PAGE = 500;
const ZONE = "Europe/Berlin";
const DEFINITION = {
  ...definitionOf("filled", { tasks: chain(1) }),
  schedules: [
    { name: "hourly", cron: "0 * * * *", timezone: ZONE },
    { name: "office", cron: "*/10 9-17 * * 1-5", timezone: ZONE },
  ],
};

/** The calendar has no hundred thousand months. */
const RANGES = {
  "every 1h": { from: "2014-01-01", to: "2025-05-29T16:00:00Z", every: "1h" },
  "cron, hours": { from: "2014-01-01", to: "2025-05-29T17:00:00+02:00", schedule: "hourly" },
  "cron, office hours": { from: "2018-01-01", to: "2025-01-01", schedule: "office" },
  days: { from: "1750-01-01", to: "2023-10-17", every: "day", timezone: ZONE },
  months: { from: "0125-01-01", to: "2025-01-01", every: "month", timezone: ZONE },
} as const;

const say = (line: string): void => console.log(line);

interface Page {
  readonly items: readonly unknown[];
  readonly next: string | null;
}

const timed = async <Answer>(seconds: number[], work: () => Promise<Answer>): Promise<Answer> => {
  const started = performance.now();
  const answer = await work();
  seconds.push((performance.now() - started) / 1_000);
  return answer;
};

interface Measured {
  readonly partitions: number;
  readonly planned: Spread;
  readonly begun: Spread;
  /** The first page, by the API that has planned it. */
  readonly first: Spread;
  readonly page: Spread;
}

const measure = async ({ api }: Stack, range: object): Promise<Measured> => {
  const [dry, begun, first, page]: [number[], number[], number[], number[]] = [[], [], [], []];
  let partitions = 0;
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const plan = await timed(dry, () =>
      api.call<{ readonly partitions: number }>("POST", "/v1/pipelines/filled/backfills", { ...range, by: "bench", dry_run: true }),
    );
    const { id } = await timed(begun, () =>
      api.call<{ readonly id: string }>("POST", "/v1/pipelines/filled/backfills", { ...range, by: "bench" }),
    );
    let listed = 0;
    for (let cursor: string | null = ""; cursor !== null; ) {
      const after: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const found: Page = await timed(listed === 0 ? first : page, () =>
        api.call<Page>("GET", `/v1/backfills/${id}/partitions?limit=${PAGE}${after}`),
      );
      listed += found.items.length;
      cursor = found.next;
    }
    if (listed !== plan.partitions) throw new Error(`${listed} of ${plan.partitions} partitions were listed`);
    partitions = listed;
    await api.call("POST", `/v1/backfills/${id}/cancel`, { by: "bench" });
  }
  return { partitions, planned: spreadOf(dry), begun: spreadOf(begun), first: spreadOf(first), page: spreadOf(page) };
};

const main = async (stack: Stack): Promise<number> => {
  await stack.api.call("PUT", "/v1/pipelines/filled", DEFINITION);
  await stack.api.call("POST", "/v1/pipelines/filled/pause", { by: "bench", why: "its plans are measured, not its runs" });
  const figures: (Measured & { readonly range: string })[] = [];
  for (const [name, range] of Object.entries(RANGES)) figures.push({ range: name, ...(await measure(stack, range)) });
  say(
    formatTable(
      ["s (spread)", "partitions", "planned (dry run)", "begun", "first page", `a page of ${PAGE}`],
      figures.map(({ range, partitions, planned, begun, first, page }) => [
        range,
        grouped(partitions),
        ...[planned, begun, first, page].map(formatSpread),
      ]),
    ),
  );
  const worst = Math.max(...figures.flatMap(({ planned, begun, first }) => [planned.median, begun.median, first.median])) / ALLOWED_SECONDS;
  say(JSON.stringify({ bench: "backfills", worst_ratio: worst, figures }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);
