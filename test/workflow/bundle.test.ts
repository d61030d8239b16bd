// What is in the workflow bundle: every cached run holds it in memory, so it stays small and free of schemas and parsers.
import { describe, expect, it } from "vitest";
import { bundleWorkflows } from "../../bin/bundle-workflows.ts";

/** It has 1,200 KB without its source map; zod alone would add 1 MB. */
const MOST_BYTES = 1_300_000;

describe("the workflow bundle", () => {
  it("holds the run's own modules, and neither zod, yaml nor definition code", async () => {
    const { code } = await bundleWorkflows([]);
    const [program = ""] = code.split("//# sourceMappingURL=");
    expect(program).toContain("core/run-state.ts");
    expect(program).toContain("workflows/run.ts");
    for (const forbidden of [
      "node_modules/zod",
      "node_modules/yaml",
      "core/definition",
      "core/compile",
      "core/operators",
      "/connectors/",
      "/store/",
    ])
      expect(program.includes(forbidden), forbidden).toBe(false);
    expect(program.length).toBeLessThan(MOST_BYTES);
  });
});
