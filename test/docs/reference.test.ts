// The generated reference is what the code says today, and every error has its section.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { pages } from "../../bin/docs/pages.ts";
import { SHAPES } from "../../bench/overhead/shapes.ts";
import { ERRORS } from "../../core/errors.ts";
import { OPERATOR_SCHEMAS } from "../../core/operators.ts";

const root = path.resolve(import.meta.dirname, "../..");

describe("docs", () => {
  it.each(pages().map(({ file }) => file))("docs/reference/%s is fresh", (file) => {
    const page = pages().find((candidate) => candidate.file === file);
    expect(readFileSync(path.join(root, "docs/reference", file), "utf8") === page?.text, "run npm run docs:generate").toBe(true);
  });

  it("every error code has a section that its problem answers link to", () => {
    const text = readFileSync(path.join(root, "docs/reference/errors.md"), "utf8");
    const sections = [...text.matchAll(/^## (\w+)$/gm)].map((match) => match[1]);
    expect(sections).toEqual(Object.keys(ERRORS).map((code) => code.toLowerCase()));
  });

  it("the first guide leads to every operator", () => {
    const text = readFileSync(path.join(root, "docs/guides/first-pipeline.md"), "utf8");
    expect(Object.keys(OPERATOR_SCHEMAS).filter((operator) => !text.includes(`| [\`${operator}\`](`))).toEqual([]);
  });

  it("the page on performance has every bench, and what each shape of bench:overhead is allowed", () => {
    const text = readFileSync(path.join(root, "docs/performance.md"), "utf8");
    const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
    const benches = Object.keys(scripts).filter((name) => name.startsWith("bench:"));
    expect(benches.filter((name) => !text.includes(`| \`npm run ${name}\` |`))).toEqual([]);
    const rows = SHAPES.map(({ name, allowed: { ratio, seconds }, pairs = 9 }) => {
      const bare = ratio === 1 ? `the floor + ${seconds} s` : `${ratio} times the floor`;
      return { begin: `| ${name} | ${ratio === 0 ? `${seconds} s` : bare}`, end: `| ${pairs} |` };
    });
    const lines = text.split("\n");
    expect(rows.filter(({ begin, end }) => !lines.some((line) => line.startsWith(begin) && line.endsWith(end)))).toEqual([]);
  });

  /** As GitHub names them. */
  const anchorsOf = (file: string): ReadonlySet<string> =>
    new Set(
      [...readFileSync(path.join(root, file), "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
          .replaceAll(" ", "-"),
      ),
    );

  it("every relative link in the Markdown leads somewhere, and to a heading where it names one", () => {
    const files = [
      "README.md",
      "CONTRIBUTING.md",
      ...["docs", "core", "workflows", "deploy", "examples"].flatMap((folder) =>
        readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
          .filter((name) => name.endsWith(".md"))
          .map((name) => path.join(folder, name)),
      ),
    ];
    const broken = files.flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)]
        .filter(([, target = "", anchor]) => {
          const place = target === "" ? file : path.join(path.dirname(file), target);
          if (!existsSync(path.join(root, place))) return true;
          return anchor !== undefined && place.endsWith(".md") && !anchorsOf(place).has(anchor);
        })
        .map(([link]) => `${file} → ${link}`),
    );
    expect(broken).toEqual([]);
  });

  it("every dependency has its line in docs/dependencies.md", () => {
    const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const page = readFileSync(path.join(root, "docs/dependencies.md"), "utf8");
    const named = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).filter((name) => !name.startsWith("@types/"));
    expect(
      named.filter(
        (name) =>
          !page.includes(
            name
              .replace(/^@temporalio\//, "")
              .replace(/^@opentelemetry\//, "")
              .replace(/^@aws-sdk\//, ""),
          ),
      ),
    ).toEqual([]);
  });
});
