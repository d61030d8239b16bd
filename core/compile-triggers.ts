// A definition's event triggers → plans of them, or every fault of their meaning.

import type { OperatorCheck } from "./compile-operator.ts";
import { paramNames } from "./compile-references.ts";
import type { Definition } from "./definition.ts";
import type { TriggerDefinition } from "./definition-triggers.ts";
import { parseDuration } from "./duration.ts";
import { checkEventExpression, conditionSource } from "./expression.ts";
import { didYouMean, type Fault, type PathPart } from "./issues.ts";
import type { JsonObject } from "./json.ts";
import { eachExpression } from "./templates.ts";
import type { TriggerPlan, TriggerSource, TriggerTiming } from "./trigger.ts";

const FORMS = ["webhook", "pipeline", "assets", "stream", "files"] as const;

/** Of what `debounce` says, where `longest_wait` does not say it. */
const LONGEST_WAIT_FACTOR = 10;

type Refuse = (key: readonly PathPart[], message: string, known?: readonly string[]) => void;

/** Where a fault is reported, the answer means nothing. */
export const compileTriggers = (definition: Definition, operators: OperatorCheck, fault: Fault): readonly TriggerPlan[] => {
  const { name, triggers = [], params } = definition;
  const names = new Set<string>();
  const known = params === undefined ? undefined : paramNames(definition);
  return triggers.map((trigger, position) => {
    const path = ["triggers", position];
    const refuse: Refuse = (key, message, others) => fault("INVALID_TRIGGER", [...path, ...key], message, others);
    if (names.has(trigger.name))
      fault("DUPLICATE_TRIGGER", [...path, "name"], `there are two triggers named "${trigger.name}"; give each a name of its own`);
    names.add(trigger.name);
    checkExpressions(trigger, path, fault);
    operators.checkTrigger(trigger, path);
    for (const key of Object.keys(trigger.params))
      if (known !== undefined && !known.includes(key))
        fault("UNKNOWN_REFERENCE", [...path, "params", key], `params does not declare "${key}"${didYouMean(key, known)}`, known);
    return compileTrigger(trigger, name, refuse);
  });
};

const compileTrigger = (trigger: TriggerDefinition, pipeline: string, refuse: Refuse): TriggerPlan => {
  const given = FORMS.filter((form) => trigger[form] !== undefined);
  if (given.length !== 1) {
    const what = given.length === 0 ? "says nothing of which events it waits for" : `has ${given.join(" and ")}`;
    refuse([], `trigger "${trigger.name}" ${what}; give exactly one of ${FORMS.join(", ")}`, FORMS);
  }
  const source = sourceOf(trigger, pipeline, refuse);
  const every = trigger.stream?.every ?? trigger.files?.every;
  return {
    name: trigger.name,
    summary: summaryOf(source),
    source,
    ...(trigger.when === undefined ? {} : { when: conditionSource(trigger.when) }),
    timing: timingOf(trigger, source, refuse),
    ...(every === undefined ? {} : { everyMs: milliseconds(every) }),
    paused: trigger.paused,
    params: trigger.params as JsonObject,
  };
};

const sourceOf = ({ webhook, pipeline, assets, stream, files }: TriggerDefinition, own: string, refuse: Refuse): TriggerSource => {
  if (webhook !== undefined) return { kind: "webhook", ...webhook };
  if (pipeline !== undefined) {
    if (pipeline.name === own) refuse(["pipeline", "name"], "a pipeline cannot start itself whenever it ends: it would never stop");
    return { kind: "pipeline", ...pipeline };
  }
  if (stream !== undefined) {
    const { connection, stream: name, every: _, ...options } = stream;
    return { kind: "stream", connection, stream: name, options: options as JsonObject };
  }
  if (files !== undefined) {
    const { connection, glob, existing } = files;
    return { kind: "files", glob, existing, ...(connection === undefined ? {} : { connection }) };
  }
  const { any_of: anyOf, all_of: allOf } = assets ?? {};
  if (assets !== undefined && (anyOf === undefined) === (allOf === undefined))
    refuse(["assets"], "give exactly one of any_of and all_of", ["any_of", "all_of"]);
  return { kind: "assets", names: [...new Set(allOf ?? anyOf ?? [])], mode: allOf === undefined ? "any_of" : "all_of" };
};

const timingOf = (trigger: TriggerDefinition, source: TriggerSource, refuse: Refuse): TriggerTiming => {
  const { batch, debounce, longest_wait: longest } = trigger;
  const quietMs = milliseconds(debounce);
  const longestMs = longest === undefined ? quietMs * LONGEST_WAIT_FACTOR : milliseconds(longest);
  if (debounce === undefined && longest !== undefined) refuse(["longest_wait"], "longest_wait belongs to debounce");
  if (debounce !== undefined && longestMs < quietMs)
    refuse(["longest_wait"], `a longest wait of ${longest} is below debounce, ${debounce}`);
  const isAllOf = source.kind === "assets" && source.mode === "all_of";
  if (isAllOf && batch !== undefined) refuse(["batch"], "all_of makes one run of one update of each already; leave batch out");
  return {
    ...(batch === undefined ? {} : { batch: { max: batch.max, withinMs: milliseconds(batch.within) } }),
    ...(debounce === undefined ? {} : { debounce: { quietMs, longestMs } }),
    ...(isAllOf ? { allOf: source.names } : {}),
  };
};

const checkExpressions = ({ when, params }: TriggerDefinition, path: readonly PathPart[], fault: Fault): void => {
  const check = (source: string, at: readonly PathPart[]): void => {
    const message = checkEventExpression(source);
    if (message !== undefined) fault("INVALID_EXPRESSION", at, `expression "${source}": ${message}; triggers read event and events`);
  };
  if (when !== undefined) check(conditionSource(when), [...path, "when"]);
  eachExpression(params, [...path, "params"], fault, check);
};

/** The schema has let only durations through. */
const milliseconds = (text: string | undefined): number => parseDuration(text ?? "0s") ?? 0;

const summaryOf = (source: TriggerSource): string => {
  if (source.kind === "webhook") return `webhook signed as ${source.signature} does`;
  if (source.kind === "stream") return `messages of ${source.stream} in ${source.connection}`;
  if (source.kind === "files") return `new files ${source.glob} in ${source.connection ?? "the data folder"}`.slice(0, 200);
  if (source.kind === "pipeline") return `end of ${source.name} (${source.on})`;
  return `update of ${source.mode === "all_of" ? "all of" : "any of"} ${source.names.join(", ")}`.slice(0, 200);
};
