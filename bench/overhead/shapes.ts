// The shapes that bench:overhead measures, as pipelines and as calls of the bare workflows.

export interface Shape {
  readonly name: string;
  readonly tasks: readonly Readonly<Record<string, unknown>>[];
  /** Runs that are triggered at the same time. */
  readonly runs: number;
  /** Of a task with `for_each`: CPU is told for each of them. */
  readonly items?: number;
  /** The same work in bare Temporal; absent: nothing there compares, and only seconds are allowed. */
  readonly floor?: { readonly workflow: "chain" | "fan"; readonly args: readonly number[] };
  /** This many times the floor, and so many seconds. */
  readonly allowed: { readonly ratio: number; readonly seconds: number };
  /** Long ones are measured less often. */
  readonly pairs?: number;
}

export const noop = { activity: { name: "noop" } };

export const chain = (length: number): Shape["tasks"] =>
  Array.from({ length }, (_, index) => ({ id: `t${index}`, needs: index === 0 ? [] : [`t${index - 1}`], ...noop }));

const fan = (width: number): Shape["tasks"] => [
  { id: "first", needs: [], ...noop },
  ...Array.from({ length: width }, (_, index) => ({ id: `t${index}`, needs: ["first"], ...noop })),
  // A definition of 5,000 tasks may have no more than that.
  { id: "last", needs: Array.from({ length: width }, (_, index) => `t${index}`), ...noop },
];

const mapped = (items: number): Shape["tasks"] => [
  { id: "each", for_each: { in: { range: { from: 1, to: items } }, window: 200 }, ...noop },
];

/** The floor has the window of ours: with all 1,000 in flight it was no faster, so this is the harder exam. */
const WINDOW = 200;

const fanOf = (width: number, ratio: number, pairs?: number): Shape => ({
  name: `1 → ${width.toLocaleString("en")} → 1`,
  tasks: fan(width),
  runs: 1,
  floor: { workflow: "fan", args: [width, WINDOW] },
  allowed: { ratio, seconds: 0 },
  ...(pairs === undefined ? {} : { pairs }),
});

const runsOf = (runs: number, pairs?: number): Shape => ({
  name: `${runs} runs of 5`,
  tasks: chain(5),
  runs,
  floor: { workflow: "chain", args: [5] },
  allowed: { ratio: 1.2, seconds: 0 },
  ...(pairs === undefined ? {} : { pairs }),
});

const mappedOf = (items: number, seconds: number, floor?: Shape["floor"]): Shape => ({
  name: `${items.toLocaleString("en")} items`,
  tasks: mapped(items),
  items,
  runs: 1,
  ...(floor === undefined ? {} : { floor }),
  allowed: { ratio: 0, seconds },
});

export const SHAPES: readonly Shape[] = [
  { name: "one task", tasks: chain(1), runs: 1, floor: { workflow: "chain", args: [1] }, allowed: { ratio: 1, seconds: 0.015 } },
  { name: "chain of 20", tasks: chain(20), runs: 1, floor: { workflow: "chain", args: [20] }, allowed: { ratio: 1.2, seconds: 0 } },
  fanOf(100, 1.2),
  fanOf(1_000, 1.2),
  fanOf(4_998, 1.2, 3),
  runsOf(50),
  runsOf(500, 3),
  mappedOf(1_000, 1.3, { workflow: "fan", args: [998, WINDOW] }),
  // Bare Temporal ends a workflow before it has had so many activities, at 51,200 events.
  mappedOf(20_000, 10),
];

export const definitionOf = (name: string, { tasks }: Pick<Shape, "tasks">): object => ({ apiVersion: "downbeat/v1", name, tasks });
