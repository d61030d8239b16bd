import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundleKey, keptBundle } from "../../bin/bundle-cache.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-bundles-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fresh = (): string => mkdtempSync(path.join(folder, "case-"));

describe("the key of a bundle", () => {
  const project = (): string => {
    const root = fresh();
    mkdirSync(path.join(root, "core/deep"), { recursive: true });
    writeFileSync(path.join(root, "core/deep/one.ts"), "one");
    writeFileSync(path.join(root, "more.ts"), "more");
    writeFileSync(path.join(root, "package-lock.json"), "{}");
    return root;
  };
  const keyOf = (root: string): Promise<string | undefined> => bundleKey(root, ["core"], [path.join(root, "more.ts")]);

  test("stays as long as nothing changes", async () => {
    const root = project();
    expect(await keyOf(root)).toBe(await keyOf(root));
  });

  test.each([
    ["a source", "core/deep/one.ts", "two"],
    ["a new source", "core/three.ts", ""],
    ["a further module", "more.ts", "less"],
    ["the packages that the lock names", "package-lock.json", "{ }"],
    ["the packages that are installed", "node_modules/.package-lock.json", "{}\n"],
  ])("changes with %s", async (_what, file, content) => {
    const root = project();
    const before = await keyOf(root);
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), content);
    expect(await keyOf(root)).not.toBe(before);
  });

  test("cannot be told where nothing says which packages there are", async () => {
    const root = project();
    rmSync(path.join(root, "package-lock.json"));
    expect(await keyOf(root)).toBeUndefined();
  });
});

describe("a kept bundle", () => {
  const maker = (code = "code"): { made: number; make: () => Promise<string> } => {
    const state = { made: 0, make: () => Promise.resolve(`${code} ${(state.made += 1)}`) };
    return state;
  };

  test("is made once, and is the same afterwards", async () => {
    const [kept, bundles] = [maker(), fresh()];
    for (let start = 0; start < 3; start += 1) expect(await keptBundle(bundles, "key", kept.make)).toBe("code 1");
    expect(kept.made).toBe(1);
    expect(readdirSync(bundles)).toEqual(["key.js"]);
  });

  test("that was cut off is made anew", async () => {
    const [kept, bundles] = [maker(), fresh()];
    await keptBundle(bundles, "key", kept.make);
    truncateSync(path.join(bundles, "key.js"), 5);
    expect(await keptBundle(bundles, "key", kept.make)).toBe("code 2");
  });

  test("is not missed where nothing can be written", async () => {
    const bundles = path.join(fresh(), "file");
    writeFileSync(bundles, "");
    expect(await keptBundle(bundles, "key", maker().make)).toBe("code 1");
  });

  test("goes when there are newer ones", async () => {
    const bundles = fresh();
    for (let each = 0; each < 12; each += 1) {
      await keptBundle(bundles, `key-${each}`, maker().make);
      const file = path.join(bundles, `key-${each}.js`);
      utimesSync(file, each, each);
    }
    const left = readdirSync(bundles);
    expect(left).toHaveLength(10);
    expect(left).toContain("key-11.js");
    expect(left).not.toContain("key-0.js");
  });

  test("that cannot be made says why", async () => {
    await expect(keptBundle(fresh(), "key", () => Promise.reject(new Error("no memory")))).rejects.toThrow("no memory");
  });
});
