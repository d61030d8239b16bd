// The file verb on real folders: what it does, and that doing it again, or half of it, changes nothing.
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { fileVerb } from "./file-kit.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const data = path.join(folder, "data");
const other = path.join(folder, "other");
const call = fileVerb({ baseDir: data, reserved: ["secret.key"] }, folder, {
  other: { kind: "file", config: { root: other } },
  alias: { kind: "file", config: { root: path.join(data, "in") } },
  db: { kind: "duckdb", config: { path: "x.duckdb" } },
});

beforeEach(() => {
  for (const root of [data, other]) {
    rmSync(root, { recursive: true, force: true });
    mkdirSync(path.join(root, "in/deep"), { recursive: true });
  }
  put("in/a.csv", "a");
  put("in/b.csv", "bb");
  put("in/deep/c.csv", "ccc");
  put("in/note.txt", "note");
});

const put = (name: string, text: string, root = data): void => {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
};
const textOf = (name: string, root = data): string | undefined => {
  const full = path.join(root, name);
  return existsSync(full) ? readFileSync(full, "utf8") : undefined;
};
const treeOf = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .toSorted();

const one = { path: "in/a.csv" };
const to = { connection: "other", path: "out/a.csv" };

describe("copy", () => {
  it("copies one file, to a name or into a folder", async () => {
    expect((await call({ action: "copy", from: one, to })).output).toEqual({ files: 1, bytes: 1, skipped: 0 });
    await call({ action: "copy", from: one, to: { connection: "other", path: "folder/" } });
    await call({ action: "copy", from: one, to: { path: "./" } });
    expect([textOf("out/a.csv", other), textOf("folder/a.csv", other), textOf("a.csv"), textOf("in/a.csv")]).toEqual(["a", "a", "a", "a"]);
  });

  it("copies what a glob names into a folder, with the folders behind the glob's own", async () => {
    const { output, metrics } = await call({ action: "copy", from: { glob: "in/**/*.csv" }, to: { connection: "other", path: "out/" } });
    expect(output).toEqual({ files: 3, bytes: 6, skipped: 0 });
    expect(metrics).toMatchObject({ bytes: 6 });
    expect(treeOf(other)).toEqual(["out/a.csv", "out/b.csv", "out/deep/c.csv"]);
    expect((await call({ action: "copy", from: { glob: "in/*.nothing" }, to: { path: "out/" } })).output).toEqual({
      files: 0,
      bytes: 0,
      skipped: 0,
    });
  });

  it("done again is done: the same content never stands in its way", async () => {
    const config = { action: "copy", from: { glob: "in/**" }, to: { connection: "other", path: "out/" } };
    const first = await call(config);
    expect((await call(config)).output).toEqual(first.output);
    expect(treeOf(other)).toHaveLength(4);
  });

  it.each(["x", "abc", "other length"])(
    "another content that is there (%s) stays, is replaced, or is left out, as the task says",
    async (there) => {
      put("out/a.csv", there, other);
      const config = { action: "copy", from: one, to };
      await expect(call(config)).rejects.toMatchObject({ code: "FILE_EXISTS" });
      expect((await call({ ...config, overwrite: "skip" })).output).toEqual({ files: 0, bytes: 0, skipped: 1 });
      expect(textOf("out/a.csv", other)).toBe(there);
      expect((await call({ ...config, overwrite: "replace" })).output).toEqual({ files: 1, bytes: 1, skipped: 0 });
      expect(textOf("out/a.csv", other)).toBe("a");
    },
  );

  it("large files that differ in one byte are told apart", async () => {
    const large = Buffer.alloc(5_000_000, "x");
    writeFileSync(path.join(data, "in/large"), large);
    large[4_999_999] = 121;
    put("out/large", large.toString(), other);
    const config = { action: "copy", from: { path: "in/large" }, to: { connection: "other", path: "out/" } };
    await expect(call(config)).rejects.toMatchObject({ code: "FILE_EXISTS" });
    writeFileSync(path.join(data, "in/large"), large);
    expect((await call(config)).output).toMatchObject({ files: 1 });
  });

  it("of what is not there fails, and says where", async () => {
    await expect(call({ action: "copy", from: { path: "in/none" }, to })).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
      message: expect.stringContaining("data folder") as unknown,
    });
    await expect(call({ action: "copy", from: { connection: "other", path: "none" }, to })).rejects.toMatchObject({
      message: expect.stringContaining('connection "other"') as unknown,
    });
  });
});

describe("move", () => {
  const config = { action: "move", from: one, to };

  it("leaves nothing where it was", async () => {
    expect((await call(config)).output).toEqual({ files: 1, bytes: 1, skipped: 0 });
    expect([textOf("in/a.csv"), textOf("out/a.csv", other)]).toEqual([undefined, "a"]);
    expect((await call({ action: "move", from: { glob: "in/**/*.csv" }, to: { path: "done/" } })).output).toEqual({
      files: 2,
      bytes: 5,
      skipped: 0,
    });
    expect(treeOf(data)).toEqual(["done/b.csv", "done/deep/c.csv", "in/note.txt"]);
  });

  it("a repetition that finds the file moved already has succeeded", async () => {
    await call(config);
    for (const again of [{ call: { attempt: 2 } }, { lostAttempts: 1 }, { run: { id: "r2" } }])
      expect((await call(config, again)).output).toEqual({ files: 1, bytes: 1, skipped: 0 });
    expect(textOf("out/a.csv", other)).toBe("a");
  });

  it("a first try does not take another's file for its own", async () => {
    await call(config);
    await expect(call(config)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    rmSync(path.join(other, "out/a.csv"));
    await expect(call(config, { call: { attempt: 2 } })).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("goes on where it was interrupted: both are there, with the same content", async () => {
    put("out/a.csv", "a", other);
    expect((await call(config)).output).toMatchObject({ files: 1 });
    expect([textOf("in/a.csv"), textOf("out/a.csv", other)]).toEqual([undefined, "a"]);
    // Between making the new name and taking the old one away.
    mkdirSync(path.join(data, "done"));
    linkSync(path.join(data, "in/b.csv"), path.join(data, "done/b.csv"));
    expect((await call({ action: "move", from: { path: "in/b.csv" }, to: { path: "done/" } })).output).toMatchObject({ files: 1 });
    expect([textOf("in/b.csv"), textOf("done/b.csv")]).toEqual([undefined, "bb"]);
  });

  it("loses neither file when another content is there", async () => {
    put("out/a.csv", "other", other);
    await expect(call(config)).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect((await call({ ...config, overwrite: "skip" })).output).toEqual({ files: 0, bytes: 0, skipped: 1 });
    expect([textOf("in/a.csv"), textOf("out/a.csv", other)]).toEqual(["a", "other"]);
    await call({ ...config, overwrite: "replace" });
    expect([textOf("in/a.csv"), textOf("out/a.csv", other)]).toEqual([undefined, "a"]);
  });

  it.each(["fail", "replace", "skip"])("onto itself loses nothing (%s), also through another connection", async (overwrite) => {
    const itself = { action: "move", from: one, overwrite };
    expect((await call({ ...itself, to: { path: "in/a.csv" } })).output).toEqual({ files: 0, bytes: 0, skipped: 1 });
    expect((await call({ ...itself, to: { connection: "alias", path: "a.csv" } })).output).toEqual({ files: 0, bytes: 0, skipped: 1 });
    expect(textOf("in/a.csv")).toBe("a");
  });

  it("of a link moves what it leads to, and takes the link away", async () => {
    symlinkSync("a.csv", path.join(data, "in/link.csv"));
    await call({ action: "move", from: { path: "in/link.csv" }, to });
    expect([existsSync(path.join(data, "in/link.csv")), textOf("in/a.csv"), textOf("out/a.csv", other)]).toEqual([false, "a", "a"]);
  });
});

describe("delete and exists", () => {
  it("delete takes away one file or many; what is not there is fine", async () => {
    expect((await call({ action: "delete", from: one })).output).toEqual({ files: 1, bytes: 1, skipped: 0 });
    expect((await call({ action: "delete", from: one })).output).toEqual({ files: 0, bytes: 0, skipped: 0 });
    expect((await call({ action: "delete", from: { glob: "in/**/*.csv" } })).output).toEqual({ files: 2, bytes: 5, skipped: 0 });
    expect(treeOf(data)).toEqual(["in/note.txt"]);
  });

  it("a path is no glob, whatever a param brings", async () => {
    await call({ action: "delete", from: { path: "in/${{ params.name }}" } }, { params: { name: "*" } });
    expect(treeOf(data)).toHaveLength(4);
  });

  it("exists answers without failing", async () => {
    expect((await call({ action: "exists", from: one })).output).toEqual({ exists: true, files: 1, bytes: 1, paths: ["in/a.csv"] });
    expect((await call({ action: "exists", from: { path: "in/none" } })).output).toEqual({ exists: false, files: 0, bytes: 0, paths: [] });
    expect((await call({ action: "exists", from: { glob: "in/*.csv" } })).output).toMatchObject({
      exists: true,
      files: 2,
      paths: ["in/a.csv", "in/b.csv"],
    });
  });
});

describe("what is refused", () => {
  it("is what lies outside of the data folder, is Downbeat's own, or a folder", async () => {
    put("secret.key", "secret");
    for (const name of ["../other/x", "/etc/passwd", "secret.key", "in"]) {
      await expect(call({ action: "copy", from: { path: name }, to })).rejects.toMatchObject({ code: "FILE_REFUSED" });
      await expect(call({ action: "delete", from: { path: name } })).rejects.toMatchObject({ code: "FILE_REFUSED" });
      await expect(call({ action: "copy", from: one, to: { path: name }, overwrite: "replace" })).rejects.toMatchObject({
        code: "FILE_REFUSED",
      });
    }
    expect(textOf("secret.key")).toBe("secret");
  });

  it("is a glob into a path that an expression made no folder", async () => {
    const config = { action: "copy", from: { glob: "in/*" }, to: { path: "${{ params.to }}" } };
    await expect(call(config, { params: { to: "one-file" } })).rejects.toMatchObject({ code: "FILE_REFUSED" });
  });

  it("is a connection without files, and one that is not there", async () => {
    await expect(call({ action: "exists", from: { connection: "db", path: "x" } })).rejects.toMatchObject({ code: "ROLE_UNSUPPORTED" });
    await expect(call({ action: "exists", from: { connection: "nobody", path: "x" } })).rejects.toMatchObject({
      code: "CONNECTION_NOT_FOUND",
    });
  });

  it("is everything after an abort", async () => {
    const signal = AbortSignal.abort(new Error("cancelled here"));
    await expect(call({ action: "delete", from: { glob: "in/**" } }, { signal })).rejects.toThrow("cancelled here");
    expect(treeOf(data)).toHaveLength(4);
  });
});
