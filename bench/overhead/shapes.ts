// The shapes that bench:overhead measures, as pipelines and as calls of the bare workflows.

export interface Shape {
  readonly name: string;
  readonly tasks: readonly { readonly id: string; readonly needs: readonly string[] }[];
  readonly floor: { readonly workflow: "chain" | "fan"; readonly args: readonly number[] };
  /** Allowed: this many times the floor, plus so many seconds. */
  readonly ratio: number;
  readonly extraSeconds: number;
}

const chain = (length: number): Shape["tasks"] =>
  Array.from({ length }, (_, index) => ({ id: `t${index}`, needs: index === 0 ? [] : [`t${index - 1}`] }));

const fan = (width: number): Shape["tasks"] => [
  { id: "first", needs: [] },
  ...Array.from({ length: width }, (_, index) => ({ id: `t${index}`, needs: ["first"] })),
  { id: "last", needs: Array.from({ length: width }, (_, index) => `t${index}`) },
];

/** The floor has the window of ours: with all 1,000 in flight it was no faster, so this is the harder exam. */
const WINDOW = 200;

export const SHAPES: readonly Shape[] = [
  { name: "one task", tasks: chain(1), floor: { workflow: "chain", args: [1] }, ratio: 1, extraSeconds: 0.04 },
  { name: "chain of 20", tasks: chain(20), floor: { workflow: "chain", args: [20] }, ratio: 1.3, extraSeconds: 0 },
  { name: "1 → 100 → 1", tasks: fan(100), floor: { workflow: "fan", args: [100, WINDOW] }, ratio: 1.3, extraSeconds: 0 },
  { name: "1 → 1,000 → 1", tasks: fan(1_000), floor: { workflow: "fan", args: [1_000, WINDOW] }, ratio: 1.3, extraSeconds: 0 },
];

export const definitionOf = (name: string, shape: Shape): object => ({
  apiVersion: "downbeat/v1",
  name,
  tasks: shape.tasks.map((task) => ({ ...task, activity: { name: "noop" } })),
});
