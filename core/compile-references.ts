// What a task's expressions read: checked against the graph, the params and the facts of a run.

import type { Definition, TaskDefinition } from "./definition.ts";
import { checkExpression, checkResponseCondition, conditionSource } from "./expression.ts";
import type { Graph } from "./graph.ts";
import { didYouMean, type Fault, type PathPart } from "./issues.ts";
import type { Operator } from "./plan.ts";
import { eachExpression } from "./templates.ts";

/** Facts of a run that expressions can read; a task's configuration can read `attempt` besides, as one try of the task is made of it. */
export const RUN_FACTS = ["id", "origin", "pipeline", "version", "trigger", "triggeredAt", "interval"] as const;
export const ATTEMPT_FACTS = [...RUN_FACTS, "attempt"] as const;

export interface ReferenceCheck {
  /** The ids of the tasks that its expressions read. */
  readonly task: (task: TaskDefinition, position: number, operator: Operator | undefined) => readonly string[];
  /** The same of the run's own outputs. */
  readonly outputs: () => readonly string[];
}

/** Answers what is wrong with reading a task; undefined: nothing. */
type Refuses = (name: string, other: number) => string | undefined;

export const createReferenceCheck = (definition: Definition, graph: Graph, fault: Fault): ReferenceCheck => {
  const params = paramNames(definition);

  /** Checks one expression after another and notes the tasks that they read. */
  const checker = (reads: Set<string>, refuses: Refuses) => {
    return (
      source: string,
      path: readonly PathPart[],
      facts: readonly string[],
      each: readonly string[] = [],
      checked = checkExpression(source),
    ): void => {
      if (!checked.ok) {
        fault("INVALID_EXPRESSION", path, `expression "${source}": ${checked.message}`);
        return;
      }
      const refuse = (what: string, known?: readonly string[]): void =>
        fault("UNKNOWN_REFERENCE", path, `expression "${source}" reads ${what}`, known);
      for (const name of checked.run) {
        if (facts.includes(name)) continue;
        const why =
          name === "attempt"
            ? "is known in a task's configuration alone; this is evaluated before or after all attempts"
            : "does not exist";
        refuse(`run.${name}, which ${why}${didYouMean(name, facts)}`, facts);
      }
      for (const name of checked.each) {
        if (each.length === 0) refuse(`each.${name}, which only the configuration of a task with for_each can read`);
        else if (!each.includes(name)) refuse(`each.${name}, which is no loop of its for_each${didYouMean(name, each)}`, each);
      }
      for (const name of checked.params) {
        if (params !== undefined && !params.includes(name))
          refuse(`param "${name}", which params does not declare${didYouMean(name, params)}`, params);
      }
      for (const name of checked.tasks) {
        const other = graph.index.get(name);
        const reason = other === undefined ? `which does not exist${graph.suggest(name)}` : refuses(name, other);
        if (reason === undefined) reads.add(name);
        else refuse(`task "${name}", ${reason}`);
      }
    };
  };

  const checkTexts = (
    value: unknown,
    path: readonly PathPart[],
    check: ReturnType<typeof checker>,
    facts: readonly string[],
    each: readonly string[] = [],
  ): void => eachExpression(value, path, fault, (source, at) => check(source, at, facts, each));

  return {
    task(task, position, operator) {
      const reads = new Set<string>();
      const check = checker(reads, (_name, other) => {
        if (other === position) return "which is the task itself";
        // All others have ended when a `finally` task begins.
        if (task.finally !== undefined && definition.tasks[other]?.finally === undefined) return undefined;
        return graph.isUpstream(position, other) ? undefined : `which is not upstream of "${task.id}"; add it to needs`;
      });
      if (task.when !== undefined) check(conditionSource(task.when), ["tasks", position, "when"], RUN_FACTS);
      const loops = loopsOf(task);
      for (const [depth, { over, path }] of loops.entries()) {
        const outer = loops.slice(0, depth).map((loop) => loop.as);
        checkTexts(over, ["tasks", position, ...path], check, RUN_FACTS, outer);
      }
      if (operator !== undefined) {
        const each = loops.map(({ as }) => as);
        checkTexts(task[operator], ["tasks", position, operator], check, ATTEMPT_FACTS, each);
        const until = task.wait?.http?.until;
        if (until !== undefined)
          check(until, ["tasks", position, "wait", "http", "until"], ATTEMPT_FACTS, each, checkResponseCondition(until));
      }
      return [...reads];
    },
    outputs() {
      const reads = new Set<string>();
      checkTexts(
        definition.outputs,
        ["outputs"],
        checker(reads, () => undefined),
        RUN_FACTS,
      );
      return [...reads];
    },
  };
};

interface LoopText {
  readonly as: string;
  readonly over: unknown;
  readonly path: readonly PathPart[];
}

/** The loops of a `for_each`, the outermost first. */
const loopsOf = ({ for_each: outer }: TaskDefinition): readonly LoopText[] => {
  if (outer === undefined) return [];
  const loops: LoopText[] = [{ as: outer.as, over: outer.in, path: ["for_each", "in"] }];
  const { inner } = outer;
  if (inner !== undefined) loops.push({ as: inner.as, over: inner.in, path: ["for_each", "inner", "in"] });
  if (inner?.inner !== undefined) loops.push({ as: inner.inner.as, over: inner.inner.in, path: ["for_each", "inner", "inner", "in"] });
  return loops;
};

/** Undefined where the schema does not say which params there are. */
export const paramNames = ({ params }: Definition): readonly string[] | undefined => {
  if (params === undefined) return [];
  const properties = params["properties"];
  return typeof properties === "object" && properties !== null && !Array.isArray(properties) ? Object.keys(properties) : undefined;
};
