// `npm run bench:backfills`: 100,000 partitions planned, begun and listed by page.

import { formatTable } from "../bin/table.ts";
import { formatSpread, spreadOf } from "./lib/pairs.ts";
import { type Stack, withStack } from "./lib/stack.ts";
import { chain, definitionOf } from "./overhead/shapes.ts";

const PARTITIONS = 100_000;
const REPETITIONS = Number(process.env["REPETITIONS"] ?? 3);
const ALLOWED_SECONDS = 5;
const PAGE = 500;
const FROM = Date.parse("2014-01-01T00:00:00Z");

const say = (line: string): void => console.log(line);

interface Page {
  readonly items: readonly unknown[];
  readonly next: string | null;
}

const main = async ({ api }: Stack): Promise<number> => {
  await api.call("PUT", "/v1/pipelines/filled", definitionOf("filled", { tasks: chain(1) }));
  await api.call("POST", "/v1/pipelines/filled/pause", { by: "bench", why: "its plans are measured, not its runs" });
  const range = {
    from: new Date(FROM).toISOString(),
    to: new Date(FROM + PARTITIONS * 3_600_000).toISOString(),
    every: "1h",
    by: "bench",
  };
  const timed = async <Answer>(seconds: number[], work: () => Promise<Answer>): Promise<Answer> => {
    const started = performance.now();
    const answer = await work();
    seconds.push((performance.now() - started) / 1_000);
    return answer;
  };
  const [dry, begun, page]: [number[], number[], number[]] = [[], [], []];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const plan = await timed(dry, () =>
      api.call<{ readonly partitions: number }>("POST", "/v1/pipelines/filled/backfills", { ...range, dry_run: true }),
    );
    if (plan.partitions !== PARTITIONS) throw new Error(`the plan has ${plan.partitions} partitions`);
    const { id } = await timed(begun, () => api.call<{ readonly id: string }>("POST", "/v1/pipelines/filled/backfills", range));
    let listed = 0;
    for (let cursor: string | null = ""; cursor !== null; ) {
      const after: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const found: Page = await timed(page, () => api.call<Page>("GET", `/v1/backfills/${id}/partitions?limit=${PAGE}${after}`));
      listed += found.items.length;
      cursor = found.next;
    }
    if (listed !== PARTITIONS) throw new Error(`${listed} partitions were listed`);
    await api.call("POST", `/v1/backfills/${id}/cancel`, { by: "bench" });
  }
  const [planned, started, paged] = [dry, begun, page].map(spreadOf);
  if (planned === undefined || started === undefined || paged === undefined) throw new Error("nothing was measured");
  say(
    formatTable(
      [`${PARTITIONS.toLocaleString("en")} partitions`, "s (spread)"],
      [
        ["planned (dry run)", formatSpread(planned)],
        ["begun", formatSpread(started)],
        [`a page of ${PAGE}`, formatSpread(paged)],
      ],
    ),
  );
  const worst = Math.max(planned.median, started.median) / ALLOWED_SECONDS;
  say(JSON.stringify({ bench: "backfills", worst_ratio: worst, figures: [{ planned, begun: started, page: paged }] }));
  return worst <= 1 ? 0 : 1;
};

process.exitCode = await withStack(say, main);
