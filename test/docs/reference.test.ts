// The generated reference is what the code says today, and every error has its section.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { pages } from "../../bin/docs/pages.ts";
import { ERRORS } from "../../core/errors.ts";

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

  it("every relative link in the Markdown leads somewhere", () => {
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
      [...readFileSync(path.join(root, file), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)/g)]
        .map((match) => match[1] ?? "")
        .filter((target) => !existsSync(path.join(root, path.dirname(file), target)))
        .map((target) => `${file} → ${target}`),
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
