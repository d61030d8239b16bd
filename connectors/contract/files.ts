// The contract of the role `files` as cases: what every store of files promises. Ships with the product; writes under a folder that it is given.

import assert from "node:assert/strict";
import type { Connector } from "../connector.ts";
import type { FileFacts, FileStore } from "../file-store.ts";
import type { ContractCase } from "./case.ts";

export interface FilesSubject {
  open(signal: AbortSignal): Promise<Connector>;
  /** An empty folder that the cases may write under. */
  readonly folder: string;
  /** A file that is written in several parts where the system knows parts; default 20 MB. */
  readonly largeBytes?: number;
}

interface Opened {
  readonly files: FileStore;
  readonly abort: AbortController;
  /** A path of this case's own. */
  at(name: string): string;
}

type Work = (opened: Opened) => Promise<void>;

const OPTIONS = { replace: false, key: "contract" };

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function* contentOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

const put = (files: FileStore, path: string, text: string, replace = false): Promise<void> =>
  files.write(path, contentOf(bytesOf(text)), { ...OPTIONS, replace, size: bytesOf(text).length });

const factsOf = async (files: FileStore, path: string): Promise<FileFacts> => {
  const facts = await files.find(path);
  assert.ok(facts, `${path} is not found`);
  return facts;
};

const read = async (files: FileStore, facts: FileFacts): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of files.read(facts)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
};

const textAt = async (files: FileStore, path: string): Promise<string> => read(files, await factsOf(files, path));

const rejectsWith = async (work: () => Promise<unknown>, ...codes: readonly string[]): Promise<void> => {
  await assert.rejects(work, (error: { readonly code?: string }) => {
    assert.ok(codes.includes(error.code ?? ""), `expected ${codes.join(" or ")}, but it was ${String(error)}`);
    return true;
  });
};

export const filesCases = (subject: FilesSubject): readonly ContractCase[] => {
  let count = 0;
  const contractCase = (name: string, work: Work): ContractCase => ({
    name,
    async run() {
      const abort = new AbortController();
      const connector = await subject.open(abort.signal);
      count += 1;
      const folder = `${subject.folder}/${count}`;
      try {
        assert.ok(connector.files, "open() gives no files although the connector plays the role");
        await work({ files: connector.files, abort, at: (path) => `${folder}/${path}` });
      } finally {
        await connector[Symbol.asyncDispose]();
      }
    },
  });
  return [
    contractCase("a file is there once it is written, with its size and content", async ({ files, at }) => {
      assert.equal(await files.find(at("deep/a.txt")), undefined);
      await put(files, at("deep/a.txt"), "hello");
      const facts = await factsOf(files, at("deep/a.txt"));
      assert.deepEqual([facts.path, facts.size], [at("deep/a.txt"), 5]);
      assert.equal(await read(files, facts), "hello");
      assert.ok(facts.key === undefined || facts.key === "contract", "the key of a writing is kept or is not");
    }),
    contractCase("an empty file is a file", async ({ files, at }) => {
      await files.write(at("empty"), contentOf(), { ...OPTIONS, size: 0 });
      assert.equal((await factsOf(files, at("empty"))).size, 0);
      assert.equal(await textAt(files, at("empty")), "");
    }),
    contractCase("a large file comes back byte by byte", async ({ files, at }) => {
      const size = subject.largeBytes ?? 20 * 1024 * 1024;
      const whole = Buffer.alloc(size, "0123456789abcdef-");
      const chunks = Array.from({ length: Math.ceil(size / 100_003) }, (_, index) =>
        whole.subarray(index * 100_003, (index + 1) * 100_003),
      );
      await files.write(at("large"), contentOf(...chunks), { ...OPTIONS, size });
      const facts = await factsOf(files, at("large"));
      assert.equal(facts.size, size);
      let position = 0;
      for await (const chunk of files.read(facts)) {
        assert.ok(whole.subarray(position, position + chunk.length).equals(chunk), `other bytes behind ${position}`);
        position += chunk.length;
      }
      assert.equal(position, size);
    }),
    contractCase("what is there stays unless it is to be replaced", async ({ files, at }) => {
      await put(files, at("a"), "first");
      const before = await factsOf(files, at("a"));
      await rejectsWith(() => put(files, at("a"), "second"), "FILE_EXISTS");
      assert.equal(await textAt(files, at("a")), "first");
      await put(files, at("a"), "third, longer", true);
      const after = await factsOf(files, at("a"));
      assert.equal(await read(files, after), "third, longer");
      assert.notEqual(after.tag, before.tag);
      assert.equal(after.uri, before.uri);
    }),
    contractCase("content that breaks off changes nothing, small or large", async ({ files, at }) => {
      await put(files, at("a"), "first");
      const piece = Buffer.alloc(1024 * 1024, "x");
      const breaking = async function* (pieces: number): AsyncGenerator<Uint8Array> {
        for (let index = 0; index < pieces; index += 1) yield piece;
        throw new Error("the source broke off");
      };
      for (const pieces of [0, 1, 20]) {
        const size = (pieces + 1) * piece.length;
        await assert.rejects(() => files.write(at("a"), breaking(pieces), { ...OPTIONS, replace: true, size }), /broke off/);
        await assert.rejects(() => files.write(at("b"), breaking(pieces), { ...OPTIONS, size }), /broke off/);
      }
      assert.equal(await textAt(files, at("a")), "first");
      assert.deepEqual(
        (await files.list(at("**"))).map(({ path }) => path),
        [at("a")],
      );
    }),
    contractCase("a file that has changed or gone since it was found is not read as if it had not", async ({ files, at }) => {
      await put(files, at("a"), "first");
      const facts = await factsOf(files, at("a"));
      await put(files, at("a"), "other", true);
      await rejectsWith(() => read(files, facts), "SOURCE_CHANGED");
      await rejectsWith(() => files.remove(facts), "SOURCE_CHANGED");
      assert.equal(await textAt(files, at("a")), "other");
      const now = await factsOf(files, at("a"));
      await files.remove(now);
      await rejectsWith(() => read(files, now), "SOURCE_CHANGED");
    }),
    contractCase("what is removed is gone, and removing it again is no fault", async ({ files, at }) => {
      await put(files, at("a/b"), "x");
      const facts = await factsOf(files, at("a/b"));
      await files.remove(facts);
      assert.equal(await files.find(at("a/b")), undefined);
      await files.remove(facts);
      await files.remove({ ...facts, path: at("never/there") });
    }),
    contractCase("globs name files in order, through folders with **", async ({ files, at }) => {
      for (const name of ["b.csv", "a.csv", "a.txt", "in/c.csv", "in/deep/d.csv", "z-"]) await put(files, at(name), name);
      const list = async (glob: string): Promise<readonly string[]> => (await files.list(at(glob))).map(({ path }) => path);
      assert.deepEqual(await list("*.csv"), [at("a.csv"), at("b.csv")]);
      assert.deepEqual(await list("**/*.csv"), ["a.csv", "b.csv", "in/c.csv", "in/deep/d.csv"].map(at));
      assert.deepEqual(await list("{a,b}.{csv,txt}"), ["a.csv", "a.txt", "b.csv"].map(at));
      assert.deepEqual(await list("*.parquet"), []);
      assert.deepEqual(await list("nowhere/*"), []);
      const [first] = await files.list(at("a.csv"));
      const found = await factsOf(files, at("a.csv"));
      assert.deepEqual([first?.tag, first?.size, first?.uri], [found.tag, found.size, found.uri]);
      assert.equal(first === undefined ? "" : await read(files, first), "a.csv");
    }),
    contractCase("names are taken as they are", async ({ files, at }) => {
      const names = ["with space+plus", "ä-日本.txt", "100%25.txt", "[brackets]*.csv", "quote'\"&#?.csv"];
      for (const name of names) await put(files, at(name), name);
      for (const name of names) assert.equal(await textAt(files, at(name)), name);
      assert.deepEqual((await files.list(at("*"))).map(({ path }) => path).toSorted(), names.map(at).toSorted());
    }),
    contractCase("paths that lead elsewhere are refused", async ({ files }) => {
      for (const path of ["", "/etc/passwd", "../a", "a/../../b", "./a", "a/..", "a\0b"]) {
        await rejectsWith(async () => files.find(path), "FILE_REFUSED");
        await rejectsWith(async () => files.list(path), "FILE_REFUSED");
        await rejectsWith(async () => put(files, path, "x"), "FILE_REFUSED");
      }
    }),
    contractCase("two at once: one of them writes what was not there", async ({ files, at }) => {
      const ends = await Promise.allSettled(["one", "two", "three"].map((text) => put(files, at("a"), text)));
      const text = await textAt(files, at("a"));
      assert.ok(["one", "two", "three"].includes(text), text);
      assert.equal(ends.filter(({ status }) => status === "fulfilled").length, 1, "exactly one may believe that it wrote the file");
    }),
    contractCase("an abort stops a writing, and nothing of it is there", async ({ files, abort, at }) => {
      const endless = async function* (): AsyncGenerator<Uint8Array> {
        for (let count = 0; ; count += 1) {
          if (count === 12) abort.abort(new Error("stopped here"));
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield Buffer.alloc(1024 * 1024);
        }
      };
      await assert.rejects(() => files.write(at("a"), endless(), { ...OPTIONS, size: 1024 ** 3 }), /stopped here|abort/i);
      const connector = await subject.open(new AbortController().signal);
      try {
        assert.equal(await connector.files?.find(at("a")), undefined);
      } finally {
        await connector[Symbol.asyncDispose]();
      }
    }),
    contractCase("a file that can be taken over comes as it is, and on the same terms", async ({ files, at }) => {
      await put(files, at("a ä+%.txt"), "content");
      await put(files, at("taken"), "other");
      const facts = await factsOf(files, at("a ä+%.txt"));
      for (const move of [false, true]) {
        const target = at(move ? "moved" : "copied/deep");
        const how = await files.takeOver?.(files, facts, target, { ...OPTIONS, move });
        if (how === undefined) continue;
        assert.equal(await textAt(files, target), "content");
        assert.equal((await files.find(facts.path)) === undefined, how === "moved");
      }
      const left = await files.find(facts.path);
      if (left === undefined) await put(files, facts.path, "content");
      const again = await factsOf(files, facts.path);
      for (const move of [false, true]) {
        const take = (replace: boolean, file = again) =>
          files.takeOver?.(files, file, at("taken"), { ...OPTIONS, replace, move }) ?? Promise.resolve(undefined);
        const how = await take(false).catch((error: { readonly code?: string }) => error.code);
        assert.ok(how === undefined || how === "FILE_EXISTS", `it was ${how}`);
        assert.equal(await textAt(files, at("taken")), "other");
        const stale = await take(true, { ...again, tag: "another" }).catch((error: { readonly code?: string }) => error.code);
        assert.ok(stale === undefined || stale === "SOURCE_CHANGED", `it was ${stale}`);
        assert.equal(await textAt(files, at("taken")), "other");
      }
    }),
  ];
};
