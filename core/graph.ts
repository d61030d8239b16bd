// The graph of a definition: every task's needs as indices, or what is wrong with them. O(tasks + edges).

import { didYouMean, type Fault } from "./issues.ts";

export interface GraphTask {
  /** Undefined where even that is wrong. */
  readonly id: string | undefined;
  readonly needs: readonly string[];
}

export interface Graph {
  /** Task id → its place; the first one's where an id is used twice. */
  readonly index: ReadonlyMap<string, number>;
  /** Places of the tasks that each task needs, faulty ones left out. */
  readonly needs: readonly (readonly number[])[];
  /** Whether `other` has surely ended or been passed by when `task` may run. Not asked of graphs with cycles. */
  isUpstream(task: number, other: number): boolean;
  /** "; did you mean …" for an id that does not exist. */
  suggest(id: string): string;
}

/** Looking for the nearest of 5,000 ids takes milliseconds: not for each of 5,000 wrong ones. */
const MOST_SUGGESTIONS = 100;
/** Cycles often share members; a few are enough to see where the circle is closed. */
const MOST_CYCLES = 20;
const MOST_MEMBERS = 30;

export const readGraph = (tasks: readonly GraphTask[], fault: Fault): Graph => {
  const index = new Map<string, number>();
  for (const [position, { id }] of tasks.entries()) {
    if (id === undefined) continue;
    const first = index.get(id);
    if (first === undefined) index.set(id, position);
    else fault("DUPLICATE_TASK_ID", ["tasks", position, "id"], `task id "${id}" is used twice; tasks[${first}] has it already`);
  }
  const ids = [...index.keys()];
  let suggestions = MOST_SUGGESTIONS;
  const suggest = (id: string): string => {
    suggestions -= 1;
    return suggestions >= 0 ? didYouMean(id, ids) : "";
  };
  const needs = tasks.map((task, position) => readNeeds(task, position, index, suggest, fault));
  const { order, cyclic } = walkNeeds(tasks, needs, fault);
  let above: readonly Uint32Array[] | undefined;
  return {
    index,
    needs,
    suggest,
    isUpstream(task, other) {
      if (cyclic || needs[task]?.includes(other)) return true;
      above ??= closure(needs, order);
      return (((above[task]?.[other >>> 5] ?? 0) >>> (other & 31)) & 1) === 1;
    },
  };
};

const readNeeds = (
  { id = "", needs }: GraphTask,
  position: number,
  index: ReadonlyMap<string, number>,
  suggest: (id: string) => string,
  fault: Fault,
): readonly number[] => {
  const seen = new Set<string>();
  return needs.flatMap((need, place) => {
    const path = ["tasks", position, "needs", place];
    if (seen.has(need)) {
      fault("DUPLICATE_DEPENDENCY", path, `task "${id}" needs "${need}" twice`);
      return [];
    }
    seen.add(need);
    if (need === id) {
      fault("SELF_DEPENDENCY", path, `task "${id}" needs itself`);
      return [];
    }
    const found = index.get(need);
    if (found !== undefined) return [found];
    fault("UNKNOWN_DEPENDENCY", path, `task "${id}" needs "${need}", which does not exist${suggest(need)}`);
    return [];
  });
};

/** Depth-first without recursion. `order` has every task after what it needs; each cycle is named with its members, each needing the next. */
const walkNeeds = (
  tasks: readonly GraphTask[],
  needs: readonly (readonly number[])[],
  fault: Fault,
): { readonly order: readonly number[]; readonly cyclic: boolean } => {
  const state = new Uint8Array(needs.length);
  const order: number[] = [];
  let cycles = 0;
  for (let root = 0; root < needs.length; root += 1) {
    if (state[root] !== 0) continue;
    const path: number[] = [root];
    const next: number[] = [0];
    state[root] = 1;
    while (path.length > 0) {
      const current = path.at(-1) ?? 0;
      const place = next.at(-1) ?? 0;
      const need = needs[current]?.[place];
      if (need === undefined) {
        state[current] = 2;
        order.push(current);
        path.pop();
        next.pop();
        continue;
      }
      next[next.length - 1] = place + 1;
      if (state[need] === 1) {
        cycles += 1;
        if (cycles > MOST_CYCLES) continue;
        const members = path.slice(path.indexOf(need)).map((member) => tasks[member]?.id ?? "");
        const shown = members.length > MOST_MEMBERS ? [...members.slice(0, MOST_MEMBERS), `… (${members.length} in all)`] : members;
        const message = `tasks need each other in a circle: ${[...shown, members[0]].join(" → ")}`;
        const at = tasks[current]?.needs.indexOf(tasks[need]?.id ?? "") ?? place;
        fault("CYCLE", ["tasks", current, "needs", at], message, members);
      } else if (state[need] === 0) {
        state[need] = 1;
        path.push(need);
        next.push(0);
      }
    }
  }
  return { order, cyclic: cycles > 0 };
};

/** For each task the set of all tasks above it, as bits. */
const closure = (needs: readonly (readonly number[])[], order: readonly number[]): readonly Uint32Array[] => {
  const words = Math.ceil(needs.length / 32);
  const above = needs.map(() => new Uint32Array(words));
  for (const task of order) {
    const own = above[task] as Uint32Array;
    for (const need of needs[task] ?? []) {
      const theirs = above[need] as Uint32Array;
      for (let word = 0; word < words; word += 1) own[word] = (own[word] ?? 0) | (theirs[word] ?? 0);
      own[need >>> 5] = (own[need >>> 5] ?? 0) | (1 << (need & 31));
    }
  }
  return above;
};
