// Sets of whole numbers as sorted ranges, both ends included: small where neighbours go together.

export type NumberRanges = readonly (readonly [first: number, last: number])[];

export const hasNumber = (ranges: NumberRanges, number: number): boolean => {
  let [low, high] = [0, ranges.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [first, last] = ranges[middle] ?? [0, -1];
    if (number < first) high = middle - 1;
    else if (number > last) low = middle + 1;
    else return true;
  }
  return false;
};

export const countNumbers = (ranges: NumberRanges): number => ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

export const uniteRanges = (left: NumberRanges, right: NumberRanges): NumberRanges => {
  const united: [number, number][] = [];
  for (const [first, last] of [...left, ...right].toSorted(([one], [other]) => one - other)) {
    const before = united.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else united.push([first, last]);
  }
  return united;
};

/** In one walk over both: there may be tens of thousands. */
export const subtractRanges = (from: NumberRanges, taken: NumberRanges): NumberRanges => {
  const left: (readonly [number, number])[] = [];
  let at = 0;
  for (const [first, last] of from) {
    let start = first;
    while (at < taken.length && (taken[at]?.[1] ?? 0) < first) at += 1;
    for (let next = at; start <= last; next += 1) {
      const [gone, until] = taken[next] ?? [Infinity, Infinity];
      if (gone > last) {
        left.push([start, last]);
        break;
      }
      if (gone > start) left.push([start, gone - 1]);
      start = Math.max(start, until + 1);
    }
  }
  return left;
};

export const intersectRanges = (left: NumberRanges, right: NumberRanges): NumberRanges => subtractRanges(left, subtractRanges(left, right));
