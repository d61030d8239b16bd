// The arrows of the architecture: who may import what. See CONTRIBUTING.md for the table and its reasons.
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const folders = ["core", "connectors", "store", "workflows", "activities", "api", "bin", "test", "bench"] as const;
type Folder = (typeof folders)[number];

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** The folder a relative import lands in. */
  readonly folder?: string;
  /** The path from the project's root that a relative import lands on. */
  readonly target?: string;
}

const IMPORT = /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[^'"();]*?\sfrom\s+)?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g;

const sources = (folder: string): readonly string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => path.join(folder, name).replaceAll(path.sep, "/"))
    .toSorted();

const importsOf = (file: string): readonly Import[] => {
  const text = readFileSync(path.join(root, file), "utf8").replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = match[3] ?? match[4] ?? "";
    const base = { file, specifier, typeOnly: match[2] !== undefined };
    if (!specifier.startsWith(".")) return base;
    const target = path.posix.join(path.posix.dirname(file), specifier);
    return { ...base, target, folder: target.split("/")[0] ?? "" };
  });
};

const importsIn = (folder: Folder): readonly Import[] => sources(folder).flatMap(importsOf);
const show = (found: readonly Import[]): readonly string[] => found.map(({ file, specifier }) => `${file} imports ${specifier}`);
const isPackage = (entry: Import, name: string): boolean => entry.specifier === name || entry.specifier.startsWith(`${name}/`);

/** Folders that each folder may reach by relative imports. */
const mayReach: Record<Folder, readonly string[]> = {
  core: ["core"],
  connectors: ["connectors", "core"],
  store: ["store", "core"],
  workflows: ["workflows", "core"],
  activities: ["activities", "core", "connectors", "store", "workflows"],
  api: ["api", "core", "store", "connectors", "workflows"],
  bin: ["bin", "core", "store", "connectors", "workflows", "activities", "api"],
  test: [...folders],
  bench: [...folders],
};

/** Packages that a folder never imports, beside what the rules below say. */
const neverPackages: Partial<Record<Folder, readonly string[]>> = {
  connectors: ["@temporalio", "express", "drizzle-orm"],
  store: ["@temporalio", "express"],
  workflows: ["@temporalio/client", "@temporalio/worker", "@temporalio/activity", "express", "zod", "yaml", "drizzle-orm", "pg"],
  activities: ["@temporalio/client", "@temporalio/worker", "@temporalio/workflow", "express"],
  api: [
    "@temporalio/worker",
    "@temporalio/activity",
    "@temporalio/workflow",
    "mysql2",
    "pg",
    "@duckdb/node-api",
    "@platformatic/kafka",
    "@aws-sdk/client-s3",
  ],
};

describe("imports follow the arrows", () => {
  it.each(folders)("%s reaches only the folders it may", (folder) => {
    const wrong = importsIn(folder).filter((entry) => entry.folder !== undefined && !mayReach[folder].includes(entry.folder));
    // The root's own files (vitest.config.ts, downbeat.config.ts) are nobody's to import.
    expect(show(wrong)).toEqual([]);
  });

  it.each(Object.entries(neverPackages))("%s leaves other layers' packages alone", (folder, packages) => {
    const wrong = importsIn(folder as Folder).filter((entry) => packages.some((name) => isPackage(entry, name)));
    expect(show(wrong)).toEqual([]);
  });

  it("core is pure: only zod and yaml in definition files, the CEL library in expression", () => {
    const allowed = (entry: Import): boolean =>
      (entry.specifier === "zod" && /^core\/(definition|operators)/.test(entry.file)) ||
      (entry.specifier === "yaml" && entry.file.startsWith("core/definition")) ||
      (entry.specifier === "@marcbachmann/cel-js" && entry.file.startsWith("core/expression"));
    expect(show(importsIn("core").filter((entry) => entry.folder === undefined && !allowed(entry)))).toEqual([]);
  });

  it("workflows use no Node built-ins and neither definition nor compile code", () => {
    const wrong = importsIn("workflows").filter(
      (entry) => isBuiltin(entry.specifier) || (!entry.typeOnly && /^core\/(definition|compile-plan|operators)/.test(entry.target ?? "")),
    );
    expect(show(wrong)).toEqual([]);
  });

  it("activities import workflows for types alone, and only the port", () => {
    const wrong = importsIn("activities").filter(
      (entry) => entry.folder === "workflows" && !(entry.typeOnly && entry.target === "workflows/ports.ts"),
    );
    expect(show(wrong)).toEqual([]);
  });

  it("only api/orchestrator uses the Temporal client inside api", () => {
    const wrong = importsIn("api").filter((entry) => isPackage(entry, "@temporalio/client") && !entry.file.startsWith("api/orchestrator"));
    expect(show(wrong)).toEqual([]);
  });

  it("the API reaches of the connectors only their specs", () => {
    const wrong = importsIn("api").filter(
      (entry) =>
        entry.folder === "connectors" &&
        !entry.typeOnly &&
        !/^connectors\/(registry|catalogue|connector|lib\/config)\.ts$/.test(entry.target ?? ""),
    );
    expect(show(wrong)).toEqual([]);
  });

  it("the environment is read in bin alone", () => {
    const readers = (["core", "connectors", "store", "workflows", "activities", "api"] as const)
      .flatMap(sources)
      .filter((file) => readFileSync(path.join(root, file), "utf8").includes("process.env"));
    expect(readers).toEqual([]);
  });

  it("only activities/failure.ts builds application failures", () => {
    const builders = (["activities", "api", "store", "connectors", "core"] as const)
      .flatMap(sources)
      .filter(
        (file) =>
          file !== "activities/failure.ts" &&
          /ApplicationFailure\.(create|nonRetryable|retryable)/.test(readFileSync(path.join(root, file), "utf8")),
      );
    expect(builders).toEqual([]);
  });

  it("drivers are imported lazily by connectors, never when their spec is loaded", () => {
    const drivers = [
      "mysql2",
      "pg",
      "pg-copy-streams",
      "@duckdb/node-api",
      "@platformatic/kafka",
      "@aws-sdk/client-s3",
      "@aws-sdk/lib-storage",
    ];
    const eager = new Set<string>();
    const visit = (file: string): void => {
      if (eager.has(file)) return;
      eager.add(file);
      for (const entry of importsOf(file)) {
        const isStatic = !readFileSync(path.join(root, file), "utf8").includes(`import("${entry.specifier}")`);
        if (isStatic && !entry.typeOnly && entry.target !== undefined) visit(entry.target);
      }
    };
    visit("connectors/registry.ts");
    const wrong = [...eager].flatMap(importsOf).filter((entry) => {
      const text = readFileSync(path.join(root, entry.file), "utf8");
      return !entry.typeOnly && drivers.includes(entry.specifier) && !text.includes(`import("${entry.specifier}")`);
    });
    expect(show(wrong)).toEqual([]);
  });

  it("a connector's kind is named in no file of core, workflows, activities or api", async () => {
    const { builtinConnectors } = await import("../../connectors/registry.ts");
    const operators = new Set(["http", "file"]);
    const kinds = builtinConnectors.map((spec) => spec.kind).filter((kind) => !operators.has(kind));
    const naming = (["core", "workflows", "activities", "api"] as const).flatMap(sources).flatMap((file) => {
      const text = readFileSync(path.join(root, file), "utf8");
      return kinds.filter((kind) => text.includes(`"${kind}"`)).map((kind) => `${file} names ${kind}`);
    });
    expect(naming).toEqual([]);
  });
});

describe("files stay small and say their job", () => {
  const productFiles = (["core", "connectors", "store", "workflows", "activities", "api", "bin"] as const).flatMap(sources);

  it("every file begins with a comment that says its one job", () => {
    const silent = productFiles.filter((file) => !/^(#!.*\n)?\/[/*]/.test(readFileSync(path.join(root, file), "utf8")));
    expect(silent).toEqual([]);
  });

  it("there are no default exports outside configuration files", () => {
    const wrong = productFiles.filter((file) => /^export default/m.test(readFileSync(path.join(root, file), "utf8")));
    expect(wrong).toEqual([]);
  });
});
