// Definitions written in TypeScript: `import { pipeline, task, … } from "downbeat/pipeline"`. They give the document that YAML gives, nothing more.

import type { DefinitionInput } from "./definition.ts";
import type { Json } from "./json.ts";
import type { OPERATOR_SCHEMAS } from "./operators.ts";
import { wholeTemplate } from "./templates.ts";

type TaskInput = DefinitionInput["tasks"][number];
type Operator = keyof typeof OPERATOR_SCHEMAS;

/** Exactly one of the operators. */
type OneOperator = {
  [Own in Operator]: { readonly [Key in Own]: NonNullable<TaskInput[Own]> } & { readonly [Key in Exclude<Operator, Own>]?: never };
}[Operator];

/** A task that others can need: made by `task`. */
export interface Task {
  readonly id: string;
  readonly definition: TaskInput;
}

export type TaskOptions = Omit<TaskInput, Operator | "id" | "needs"> & { readonly needs?: readonly Task[] } & OneOperator;

export type PipelineOptions = Omit<DefinitionInput, "apiVersion" | "tasks"> & { readonly tasks: readonly Task[] };

/** Needs are tasks and no ids, so that what is not there cannot be named. Tasks can only need those that were made before: there are no cycles. */
export const task = (id: string, { needs, ...options }: TaskOptions): Task => ({
  id,
  definition: { id, ...(needs === undefined ? {} : { needs: needs.map((needed) => needed.id) }), ...options },
});

/** The document that a deploy takes. */
export const pipeline = ({ tasks, ...options }: PipelineOptions): DefinitionInput => ({
  apiVersion: "downbeat/v1",
  ...options,
  tasks: tasks.map(({ definition }) => definition),
});

const wrap = (source: string): string => `\${{ ${source} }}`;

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;
const member = (key: string | number): string => (typeof key === "string" && PLAIN.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

/** `${{ tasks.ID.output }}`, or what lies in it: `output(orders, "rows")`. */
export const output = (of: Task, ...path: readonly (string | number)[]): string =>
  wrap(`tasks${member(of.id)}.output${path.map(member).join("")}`);

/** `${{ tasks.ID.status }}`. */
export const status = (of: Task): string => wrap(`tasks${member(of.id)}.status`);

/**
 * A CEL expression: `` expr`params.n > 1` ``. What is put into it is an expression where it is one (`output(…)`, another `expr`),
 * and otherwise a value: `` expr`${output(orders, "country")} == ${"DE"}` ``.
 */
export const expr = (source: TemplateStringsArray, ...values: readonly Json[]): string =>
  wrap(
    source
      .map((text, index) => (index === 0 ? text : `${operand(values[index - 1] as Json)}${text}`))
      .join("")
      .trim(),
  );

const operand = (value: Json): string => {
  const inner = typeof value === "string" ? wholeTemplate(value) : undefined;
  return inner === undefined ? JSON.stringify(value) : inner;
};
