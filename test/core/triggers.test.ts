// Event triggers: what compiles, what is refused, and when events become a run.

import { describe, expect, it } from "vitest";
import { kafkaEventOptions } from "../../connectors/kafka/spec.ts";
import { compilePlan } from "../../core/compile-plan.ts";
import { parseDefinition } from "../../core/definition.ts";
import { dueAt, sizeOfNext, type TriggerTiming } from "../../core/trigger.ts";

const catalogue = {
  connections: { broker: "kafka", lake: "s3", mail: "mail" },
  connectors: { kafka: { roles: ["events"], eventOptions: kafkaEventOptions }, s3: { roles: ["files"] }, mail: { roles: [] } },
  activities: { score: {} },
  pools: [],
};

const compile = (triggers: string) => {
  const text = `apiVersion: downbeat/v1
name: p
params: { type: object, properties: { country: { type: string } } }
triggers:
${triggers}
tasks:
  - { id: a, activity: { name: score } }`;
  const parsed = parseDefinition(text);
  return parsed.ok ? compilePlan(parsed.definition, catalogue, parsed.locate) : parsed;
};

const HOOK = "webhook: { secret: { env: S } }";

describe("a trigger that is refused", () => {
  it.each([
    ["{ name: t }", "INVALID_TRIGGER", "triggers[0]", "says nothing"],
    [`{ name: t, ${HOOK}, assets: { any_of: [x] } }`, "INVALID_TRIGGER", "triggers[0]", "has webhook and assets"],
    ["{ name: t, webhook: { secret: plain } }", "INVALID_VALUE", "triggers[0].webhook.secret", ""],
    ["{ name: t, pipeline: { name: p } }", "INVALID_TRIGGER", "triggers[0].pipeline.name", "cannot start itself"],
    ["{ name: t, pipeline: { name: o, on: success } }", "INVALID_VALUE", "triggers[0].pipeline.on", "known: succeeded, failed, ended"],
    ["{ name: t, assets: {} }", "INVALID_TRIGGER", "triggers[0].assets", "exactly one"],
    ["{ name: t, assets: { any_of: [x], all_of: [x] } }", "INVALID_TRIGGER", "triggers[0].assets", "exactly one"],
    ["{ name: t, assets: { all_of: [x] }, batch: { max: 2, within: 1m } }", "INVALID_TRIGGER", "triggers[0].batch", "leave batch out"],
    [`{ name: t, ${HOOK}, longest_wait: 1m }`, "INVALID_TRIGGER", "triggers[0].longest_wait", "belongs to debounce"],
    [`{ name: t, ${HOOK}, debounce: 1m, longest_wait: 30s }`, "INVALID_TRIGGER", "triggers[0].longest_wait", "below debounce"],
    [`{ name: t, ${HOOK}, when: "event.data ==" }`, "INVALID_EXPRESSION", "triggers[0].when", "event and events"],
    [`{ name: t, ${HOOK}, when: "params.country == 'DE'" }`, "INVALID_EXPRESSION", "triggers[0].when", "params"],
    [`{ name: t, ${HOOK}, params: { country: "\${{ run.id }}" } }`, "INVALID_EXPRESSION", "triggers[0].params.country", "run"],
    ["{ name: t, stream: { connection: brokr, stream: x } }", "UNKNOWN_CONNECTION", "triggers[0].stream.connection", 'mean "broker"'],
    ["{ name: t, stream: { connection: mail, stream: x } }", "ROLE_MISMATCH", "triggers[0].stream.connection", "as events"],
    ["{ name: t, stream: { connection: broker, stream: x, form: text } }", "UNKNOWN_KEY", "triggers[0].stream.form", 'mean "from"'],
    ["{ name: t, stream: { connection: broker, stream: x, from: 3 } }", "INVALID_OPTIONS", "triggers[0].stream.from", "earliest"],
    ["{ name: t, stream: { connection: broker, stream: x, every: 1ms } }", "INVALID_DURATION", "triggers[0].stream.every", "1s"],
    ["{ name: t, files: { connection: broker, glob: x } }", "ROLE_MISMATCH", "triggers[0].files.connection", "as files"],
    ["{ name: t, files: { connection: lake } }", "MISSING_KEY", "triggers[0].files.glob", ""],
    [`{ name: t, ${HOOK}, params: { county: DE } }`, "UNKNOWN_REFERENCE", "triggers[0].params.county", 'did you mean "country"?'],
  ])("%s", (trigger, code, path, message) => {
    const result = compile(`  - ${trigger}`);
    const issues = result.ok ? [] : result.issues;
    expect(issues).toMatchObject([{ code, path, message: expect.stringContaining(message) }]);
  });

  it("comes with all faults at once", () => {
    const result = compile(`  - { name: t, when: "1 +", assets: {} }\n  - { name: t, ${HOOK}, longest_wait: 1m }`);
    expect(result.ok ? [] : result.issues.map(({ code }) => code).toSorted()).toEqual([
      "DUPLICATE_TRIGGER",
      "INVALID_EXPRESSION",
      "INVALID_TRIGGER",
      "INVALID_TRIGGER",
    ]);
  });

  it("a task's expression reads no event", () => {
    const result = compile(`  - { name: t, ${HOOK} }`.concat("\noutputs: { x: '${{ event.data }}' }"));
    expect(result.ok ? [] : result.issues).toMatchObject([{ code: "INVALID_EXPRESSION" }]);
  });
});

describe("a trigger that compiles", () => {
  it("names what is looked at, and how often", () => {
    const result = compile(`  - { name: a, stream: { connection: broker, stream: orders, from: earliest } }
  - { name: b, files: { connection: lake, glob: "in/*.csv", every: 1m } }
  - { name: c, files: { glob: "in/*.csv", existing: true } }`);
    expect(result.ok && result.compiled.triggers).toMatchObject([
      { source: { kind: "stream", connection: "broker", stream: "orders", options: { from: "earliest" } }, everyMs: 10_000 },
      { source: { kind: "files", connection: "lake", glob: "in/*.csv", existing: false }, everyMs: 60_000 },
      { source: { kind: "files", glob: "in/*.csv", existing: true }, summary: "new files in/*.csv in the data folder" },
    ]);
    expect(result.ok && result.compiled.connections).toEqual(["broker", "lake"]);
    expect(result.ok && result.compiled.uses).toBeUndefined();
  });

  it("has its defaults, and never its secret", () => {
    const result = compile(`  - { name: t, ${HOOK}, when: "\${{ event.data.ok }}", debounce: 10s, batch: { max: 5, within: 1m } }`);
    expect(result.ok && result.compiled.triggers).toEqual([
      {
        name: "t",
        summary: "webhook signed as downbeat does",
        source: { kind: "webhook", secret: { env: "S" }, signature: "downbeat" },
        when: "event.data.ok",
        timing: { batch: { max: 5, withinMs: 60_000 }, debounce: { quietMs: 10_000, longestMs: 100_000 } },
        paused: false,
        params: {},
      },
    ]);
  });
});

describe("the next run", () => {
  const waiting = (...at: number[]) => at.map((moment) => ({ id: String(moment), at: moment }));
  const batch = { max: 3, withinMs: 100 };
  const debounce = { quietMs: 10, longestMs: 25 };

  it.each<[string, TriggerTiming, number[], number | undefined, number]>([
    ["of nothing is never", {}, [], undefined, 0],
    ["is at once, of one event", {}, [5, 6], 5, 1],
    ["of a batch waits for its time", { batch }, [5, 6], 105, 2],
    ["of a full batch is due, and takes no more", { batch }, [5, 6, 7, 8], 5, 3],
    ["waits until it is quiet", { debounce }, [5, 9], 19, 2],
    ["waits for quiet, but not for ever", { debounce }, [5, 14, 23], 30, 3],
    ["of a batch that is quiet is due", { batch, debounce }, [5, 9], 19, 2],
  ])("%s", (_title, timing, at, due, size) => {
    expect(dueAt(waiting(...at), timing)).toBe(due);
    expect(sizeOfNext(waiting(...at), timing)).toBe(size);
  });

  it("of all of several subjects waits for each, and takes all there is", () => {
    const of = (subject: string, at: number) => ({ id: `${subject}${at}`, subject, at });
    const timing = { allOf: ["x", "y"] };
    expect(dueAt([of("x", 1), of("x", 2)], timing)).toBeUndefined();
    const both = [of("x", 1), of("x", 2), of("y", 3)];
    expect(dueAt(both, timing)).toBe(1);
    expect(sizeOfNext(both, timing)).toBe(3);
  });
});
