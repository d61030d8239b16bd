// Definitions in files: valid ones compile, and each issue code has one that gives it, and only it.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { compilePlan, type CompileResult } from "../../core/compile-plan.ts";
import { checkDefinition, parseDefinition } from "../../core/definition.ts";
import { ISSUE_CODES } from "../../core/issues.ts";
import { parse } from "yaml";
import { catalogue } from "./catalogue.ts";

const folder = path.resolve(import.meta.dirname, "../fixtures/definitions");
const filesIn = (name: string): readonly string[] => readdirSync(path.join(folder, name)).toSorted();
const read = (name: string, file: string): string => readFileSync(path.join(folder, name, file), "utf8");

const compileText = (text: string): CompileResult => {
  const parsed = parseDefinition(text);
  return parsed.ok ? compilePlan(parsed.definition, catalogue, parsed.locate) : parsed;
};

describe("valid definitions", () => {
  it.each(filesIn("valid"))("%s compiles", (file) => {
    const result = compileText(read("valid", file));
    expect(result.ok ? [] : result.issues).toEqual([]);
  });

  it("mean the same when they come as JSON text and as values", () => {
    for (const file of filesIn("valid")) {
      const fromYaml = parseDefinition(read("valid", file));
      const value: unknown = parse(read("valid", file));
      const fromJson = parseDefinition(JSON.stringify(value, null, "\t"));
      const fromValue = checkDefinition(value);
      if (!fromYaml.ok || !fromJson.ok || !fromValue.ok) throw new Error(`${file} is refused`);
      expect(fromJson.definition).toEqual(fromYaml.definition);
      expect(fromValue.definition).toEqual(fromYaml.definition);
    }
  });
});

describe("invalid definitions", () => {
  it("has a file for every issue code of the compiler", () => {
    // Which pipelines there are the API alone knows: test/api/sub-pipelines.test.ts.
    const codes = ISSUE_CODES.filter((code) => code !== "UNKNOWN_PIPELINE");
    expect(filesIn("invalid")).toEqual(codes.map((code) => `${code}.yaml`).toSorted());
  });

  it.each(filesIn("invalid"))("%s says what, where and what to do", (file) => {
    const text = read("invalid", file);
    const [, line, column, at = ""] = /^# at: (\d+):(\d+) ?(.*)$/m.exec(text) ?? [];
    const says = /^# says: (.*)$/m.exec(text)?.[1];
    const result = compileText(text);
    const issues = result.ok ? [] : result.issues;
    expect(issues).toEqual([
      expect.objectContaining({
        code: file.replace(".yaml", ""),
        path: at,
        line: Number(line),
        column: Number(column),
        message: expect.stringContaining(says ?? "?"),
      }),
    ]);
  });
});
