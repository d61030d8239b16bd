// Interleaved turns of ours, floor and peers: medians, spread and the ratio of medians. Single times mean nothing on a shared machine.

export interface Measure {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export interface PairResult<Each extends Measure = Measure> {
  readonly ours: readonly Each[];
  readonly floor: readonly Each[];
}

/** All take turns, and who begins alternates, so that drift hits each of them. `before` makes each turn's work, outside of the time. */
export const runTurns = async <Each extends Measure>(
  turns: number,
  contestants: readonly (() => Promise<Each>)[],
  before: (turn: number) => Promise<void> = () => Promise.resolve(),
): Promise<readonly (readonly Each[])[]> => {
  const measures = contestants.map((): Each[] => []);
  for (let turn = 0; turn < turns; turn += 1) {
    await before(turn);
    const places = [...contestants.keys()];
    for (const place of turn % 2 === 0 ? places : places.toReversed()) {
      const measure = await contestants[place]?.();
      if (measure !== undefined) measures[place]?.push(measure);
    }
  }
  return measures;
};

export const runPairs = async <Each extends Measure>(
  pairs: number,
  ours: () => Promise<Each>,
  floor: () => Promise<Each>,
  before?: (pair: number) => Promise<void>,
): Promise<PairResult<Each>> => {
  const [ourMeasures = [], floorMeasures = []] = await runTurns(pairs, [ours, floor], before);
  return { ours: ourMeasures, floor: floorMeasures };
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
