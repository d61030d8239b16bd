// The JSON Schema that editors use: fresh, and of one mind with the parser.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { definitionJsonSchema } from "../../core/definition.ts";

const root = path.resolve(import.meta.dirname, "../..");
const schemaFile = path.join(root, "docs/reference/pipeline.schema.json");
const fixtures = path.join(root, "test/fixtures/definitions");
const validate = new Ajv({ strict: false, allErrors: true }).compile(definitionJsonSchema());

const isAccepted = (folder: string, file: string): boolean =>
  validate(parse(readFileSync(path.join(fixtures, folder, file), "utf8"))) as boolean;

describe("pipeline.schema.json", () => {
  it("is what the code says; write it anew with `npm run docs:generate`", () => {
    expect(readFileSync(schemaFile, "utf8")).toBe(`${JSON.stringify(definitionJsonSchema(), null, 2)}\n`);
  });

  it.each(readdirSync(path.join(fixtures, "valid")))("accepts %s", (file) => {
    expect(isAccepted("valid", file)).toBe(true);
  });

  it("accepts the examples", () => {
    const examples = readdirSync(path.join(root, "examples"), { recursive: true, encoding: "utf8" }).filter((file) =>
      /pipeline\.ya?ml$/.test(file),
    );
    expect(examples.length).toBeGreaterThan(0);
    for (const file of examples)
      expect([file, validate(parse(readFileSync(path.join(root, "examples", file), "utf8")))]).toEqual([file, true]);
  });

  it.each(["UNKNOWN_KEY.yaml", "INVALID_VALUE.yaml", "UNKNOWN_OPERATOR.yaml"])("marks %s in the editor", (file) => {
    expect(isAccepted("invalid", file)).toBe(false);
  });

  it("can stand inside other documents", () => {
    expect(JSON.stringify(definitionJsonSchema())).not.toContain("$ref");
  });

  it("describes keys and lists allowed values", () => {
    const text = JSON.stringify(definitionJsonSchema());
    expect(text).toContain("Tasks that must have ended before this one");
    expect(text).toContain('"enum":["append","merge","replace"]');
  });
});
