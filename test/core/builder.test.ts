// Pipelines written in TypeScript: the document that YAML gives, and what the types refuse before anything runs.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { contentHash } from "../../api/hash.ts";
import { readDefinitionFile } from "../../bin/definition-file.ts";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { builtinConnectors } from "../../connectors/registry.ts";
import { expr, output, pipeline, status, task } from "../../core/builder.ts";
import { compilePlan } from "../../core/compile-plan.ts";
import { checkDefinition, parseDefinition, type ParsedDefinition } from "../../core/definition.ts";

const examples = path.resolve(import.meta.dirname, "../../examples");
const { connectors } = createCatalogue(builtinConnectors);
const connections = { shop: "mysql", events: "kafka", lake: "s3", warehouse: "duckdb", partner: "http" };

const compile = (parsed: ParsedDefinition) =>
  parsed.ok ? compilePlan(parsed.definition, { connections, connectors, activities: {}, pools: [] }, () => undefined) : parsed;

const definitionOf = (parsed: ParsedDefinition) => {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.definition;
};

const compiled = (parsed: ParsedDefinition) => {
  const result = compile(parsed);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.compiled;
};

const sql = (query: string) => ({ connection: "warehouse", query });

describe("the builder", () => {
  it("gives the commerce example the definition, plan and hash of its YAML", async () => {
    const yaml = parseDefinition(readFileSync(path.join(examples, "commerce/pipeline.yaml"), "utf8"));
    const built = checkDefinition((await readDefinitionFile(path.join(examples, "commerce/pipeline.ts"))).body);
    expect(definitionOf(built)).toEqual(definitionOf(yaml));
    expect(compiled(built)).toEqual(compiled(yaml));
    expect(contentHash(definitionOf(built))).toBe(contentHash(definitionOf(yaml)));
  });

  it("writes needs as ids, and keeps every key of task and pipeline", () => {
    const first = task("first", { sql: sql("select 1"), retry: { attempts: 2 } });
    const second = task("second", { needs: [first], trigger_rule: "all_done", wait: { for: "5m" } });
    const document = pipeline({
      name: "two",
      tasks: [first, second],
      schedules: [{ cron: "0 6 * * *" }],
      outputs: { n: output(first, 0, "n") },
    });
    expect(document).toEqual({
      apiVersion: "downbeat/v1",
      name: "two",
      schedules: [{ cron: "0 6 * * *" }],
      outputs: { n: "${{ tasks.first.output[0].n }}" },
      tasks: [
        { id: "first", sql: sql("select 1"), retry: { attempts: 2 } },
        { id: "second", needs: ["first"], trigger_rule: "all_done", wait: { for: "5m" } },
      ],
    });
    expect(checkDefinition(document).ok).toBe(true);
  });

  it("writes expressions that compile: outputs by any key, statuses, values that are quoted", () => {
    const odd = task("odd-id", { sql: { ...sql("select 1"), output: "select 1" } });
    expect(output(odd)).toBe('${{ tasks["odd-id"].output }}');
    expect(output(odd, "rows", 0, "total sum")).toBe('${{ tasks["odd-id"].output.rows[0]["total sum"] }}');
    expect(status(odd)).toBe('${{ tasks["odd-id"].status }}');
    expect(expr`params.n > 1`).toBe("${{ params.n > 1 }}");
    const both = expr`${output(odd, "n")} > ${5} && ${expr`params.country`} == ${'D"E'} && params.on == ${true}`;
    expect(both).toBe('${{ tasks["odd-id"].output.n > 5 && params.country == "D\\"E" && params.on == true }}');
    const next = task("next", { needs: [odd], when: both, sql: sql("select 2") });
    const properties = { country: {}, on: {} };
    const document = pipeline({ name: "odd", params: { type: "object", properties }, tasks: [odd, next] });
    expect(compiled(checkDefinition(document)).plan.tasks[1]?.when).toContain('params.country == "D\\"E"');
  });

  it("does not hide what only a check finds: a needed task that was left out", () => {
    const left = task("left", { sql: sql("select 1") });
    const right = task("right", { needs: [left], sql: sql("select 2") });
    expect(compile(checkDefinition(pipeline({ name: "p", tasks: [right] })))).toMatchObject({
      ok: false,
      issues: [{ code: "UNKNOWN_DEPENDENCY", path: "tasks[0].needs[0]" }],
    });
  });

  it("has types that refuse what the schema refuses", () => {
    const a = task("a", { sql: sql("select 1") });
    const refused = [
      // @ts-expect-error a need is a task, not an id
      task("b", { needs: ["a"], sql: sql("select 1") }),
      // @ts-expect-error no operator
      task("b", { needs: [a] }),
      // @ts-expect-error two operators
      task("b", { sql: sql("select 1"), http: { connection: "api" } }),
      // @ts-expect-error an operator that there is not
      task("b", { sequel: sql("select 1") }),
      // @ts-expect-error a key that the operator does not have
      task("b", { sql: { connection: "warehouse", querry: "select 1" } }),
      // @ts-expect-error a mode that there is not
      task("b", { transfer: { from: { connection: "c" }, to: { connection: "c", table: "t", mode: "upsert" } } }),
      // @ts-expect-error a key that tasks do not have
      task("b", { sql: sql("select 1"), retries: 3 }),
      // @ts-expect-error a rule that there is not
      task("b", { sql: sql("select 1"), trigger_rule: "some_success" }),
    ];
    for (const made of refused)
      expect(compile(checkDefinition(pipeline({ name: "p", tasks: [a, made] }))).ok, JSON.stringify(made)).toBe(false);
    // @ts-expect-error a pipeline's tasks are tasks
    expect(() => pipeline({ name: "p", tasks: ["a"] })).not.toThrow();
    // @ts-expect-error a failure policy that there is not
    expect(checkDefinition(pipeline({ name: "p", tasks: [a], failure_policy: "never" })).ok).toBe(false);
  });
});
