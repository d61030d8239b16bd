// What a round must show of each run, as a pure function: it ended right, the read model is the run, nothing recorded ran again.

import type { Effect } from "./effects.ts";

interface AttemptFacts {
  readonly lost_attempts: number;
}

export interface TaskFacts {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly finished_at: string | null;
  readonly attempt_log: readonly AttemptFacts[];
}

/** What the API had as succeeded before the kill; item 0: the task itself. */
export interface Recorded {
  readonly task: string;
  readonly item: number;
  readonly finishedAt: string;
}

export interface Evidence {
  readonly run: string;
  readonly wanted: { readonly status: string; readonly tasks: Readonly<Record<string, string>> };
  /** The read model. */
  readonly shown: { readonly status: string; readonly tasks: readonly TaskFacts[] };
  /** The run itself, in Temporal. */
  readonly real: { readonly status: string; readonly tasks: Readonly<Record<string, string>> };
  /** Items of each task with `for_each`. */
  readonly items: Readonly<Record<string, number>>;
  /** Those tasks of the run that leave an effect, once. */
  readonly marking: readonly string[];
  readonly recorded: readonly Recorded[];
  readonly effects: readonly Effect[];
}

const differences = (what: string, left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): readonly string[] =>
  [...new Set([...Object.keys(left), ...Object.keys(right)])]
    .filter((task) => left[task] !== right[task])
    .map((task) => `${task} is ${left[task] ?? "absent"}, ${what} ${right[task] ?? "absent"}`);

/** Every fault in words; none: all is right. */
export const faultsOf = ({ run, wanted, shown, real, items, marking, recorded, effects }: Evidence): readonly string[] => {
  const shownTasks = Object.fromEntries(shown.tasks.map(({ id, status }) => [id, status]));
  const faults: string[] = [];
  if (shown.status !== wanted.status) faults.push(`it is ${shown.status}, and should be ${wanted.status}`);
  if (shown.status !== real.status) faults.push(`the read model says ${shown.status}, Temporal ${real.status}`);
  faults.push(...differences("and should be", shownTasks, wanted.tasks));
  faults.push(...differences("in Temporal", shownTasks, real.tasks));
  for (const task of shown.tasks) {
    if (!marking.includes(task.id) || task.status !== "succeeded") continue;
    const tries = task.attempts + task.attempt_log.reduce((sum, attempt) => sum + attempt.lost_attempts, 0);
    const done = effects.filter((effect) => effect.task === task.id && effect.item === 0).length;
    if (done === 0) faults.push(`${task.id} succeeded without an effect`);
    if (done > tries) faults.push(`${task.id} was done ${done} times in ${tries} tries`);
  }
  for (const [task, count] of Object.entries(items)) {
    const done = new Set(effects.flatMap((effect) => (effect.task === task ? [effect.item] : []))).size;
    if (done !== count) faults.push(`${done} of ${count} items of ${task} have an effect`);
  }
  for (const { task, item, finishedAt } of recorded) {
    const place = item === 0 ? task : `${task}[${item}]`;
    const later = effects.filter((effect) => effect.task === task && effect.item === item && effect.at > Date.parse(finishedAt));
    if (later.length > 0) faults.push(`${place} ran again ${later.length} times after it had been recorded as succeeded`);
    const now = shown.tasks.find(({ id }) => id === task);
    if (item === 0 && now?.finished_at !== finishedAt) faults.push(`${place} had succeeded at ${finishedAt}, now at ${now?.finished_at}`);
  }
  return faults.map((fault) => `${run}: ${fault}`);
};
