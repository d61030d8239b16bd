// Interleaved pairs of ours and floor: medians, spread and the ratio of medians. Single times mean nothing on a shared machine.

export interface Measure {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export interface PairResult<Each extends Measure = Measure> {
  readonly ours: readonly Each[];
  readonly floor: readonly Each[];
}

/** Ours and floor take turns, and who begins alternates, so that drift hits both. */
export const runPairs = async <Each extends Measure>(
  pairs: number,
  ours: () => Promise<Each>,
  floor: () => Promise<Each>,
): Promise<PairResult<Each>> => {
  const result = { ours: [] as Each[], floor: [] as Each[] };
  for (let pair = 0; pair < pairs; pair += 1) {
    const steps = [async () => result.ours.push(await ours()), async () => result.floor.push(await floor())];
    for (const step of pair % 2 === 0 ? steps : steps.toReversed()) await step();
  }
  return result;
};

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values),
});

export const secondsOf = (measures: readonly Measure[]): Spread => spreadOf(measures.map(({ seconds }) => seconds));

export const formatSpread = ({ median: middle, least, most }: Spread): string =>
  `${middle.toFixed(3)} (${least.toFixed(3)}–${most.toFixed(3)})`;
