// The role files: the worker's file system and a real S3 server against its contract; and what only file systems can do.
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { randomBytes } from "node:crypto";
import * as sdk from "@aws-sdk/client-s3";
import { GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { filesCases } from "../../connectors/contract/files.ts";
import type { FileStore } from "../../connectors/file-store.ts";
import { file } from "../../connectors/file.ts";
import { S3Upload } from "../../connectors/s3/upload.ts";
import { s3 } from "../../connectors/s3/spec.ts";
import { freshBucket } from "../fixtures/services.ts";
import { openConnector, runCases, testContext, testFolder } from "./kit.ts";

const folder = testFolder("files");
const root = path.join(folder, "root");
mkdirSync(path.join(root, "own"), { recursive: true });
writeFileSync(path.join(folder, "outside.txt"), "outside");
mkdirSync(path.join(folder, "elsewhere"));

const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
const config = { bucket, endpoint, region, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });

const openLocal = (signal?: AbortSignal, at = root) =>
  openConnector(file, { root: at }, { ...testContext(folder, signal), baseDir: root, reserved: ["secret.key", "own/**"] });
const openS3 = (signal?: AbortSignal, more: object = {}) => openConnector(s3, { ...config, ...more }, testContext(folder, signal));

runCases("local files", filesCases({ open: openLocal, folder: "contract" }));
runCases("s3 files", filesCases({ open: (signal) => openS3(signal), folder: "contract" }));
runCases(
  "s3 files under a prefix",
  filesCases({ open: (signal) => openS3(signal, { prefix: "below [1]*/" }), folder: "contract", largeBytes: 9_000_000 }),
);

const localFiles = async (): Promise<FileStore> => {
  const { files } = await openLocal();
  if (files === undefined) throw new Error("file plays the role files");
  return files;
};
const refused = (code: string, message?: string) => ({
  code,
  ...(message === undefined ? {} : { message: expect.stringContaining(message) as unknown }),
});

describe("the worker's file system", () => {
  it("nothing leads out of the root through links: not reading, writing, listing, removing", async () => {
    const files = await localFiles();
    symlinkSync(path.join(folder, "outside.txt"), path.join(root, "link.txt"));
    symlinkSync(path.join(folder, "elsewhere"), path.join(root, "away"));
    await expect(files.find("link.txt")).rejects.toMatchObject(refused("FILE_REFUSED", "outside"));
    await expect(files.list("*.txt")).rejects.toMatchObject(refused("FILE_REFUSED", "outside"));
    const content = async function* () {
      yield Buffer.from("x");
    };
    for (const name of ["away/new.txt", "away/deep/new.txt"])
      await expect(files.write(name, content(), { replace: true, key: "", size: 1 })).rejects.toMatchObject(
        refused("FILE_REFUSED", "outside"),
      );
    const facts = { path: "away/x", size: 1, tag: "", uri: "", key: undefined };
    await expect(files.remove(facts)).rejects.toMatchObject(refused("FILE_REFUSED", "outside"));
    expect(readdirSync(path.join(folder, "elsewhere"))).toEqual([]);
    // A link itself is replaced, not what it leads to.
    await files.write("link.txt", content(), { replace: true, key: "", size: 1 });
    expect(readFileSync(path.join(folder, "outside.txt"), "utf8")).toBe("outside");
  });

  it("Downbeat's own files are given to nobody, under whatever root", async () => {
    writeFileSync(path.join(root, "secret.key"), "secret");
    writeFileSync(path.join(root, "own/data"), "data");
    const files = await localFiles();
    for (const name of ["secret.key", "own/data"])
      await expect(files.find(name)).rejects.toMatchObject(refused("FILE_REFUSED", "Downbeat's own"));
    await expect(files.list("own/*")).rejects.toMatchObject(refused("FILE_REFUSED", "Downbeat's own"));
    const above = (await openLocal(undefined, folder)).files;
    await expect(above?.find("root/secret.key")).rejects.toMatchObject(refused("FILE_REFUSED", "Downbeat's own"));
    const { source } = await openLocal();
    const request = {
      stream: "secret.key",
      options: file.sourceOptions?.parse({}) as Record<string, unknown>,
      nullCursor: "fail",
      newRun: true,
      position: null,
      bounds: null,
      seen: () => Promise.resolve(new Set<string>()),
    } as const;
    await expect(source?.read(request)[Symbol.asyncIterator]().next()).rejects.toMatchObject(
      refused("SOURCE_OPTIONS_INVALID", "Downbeat's own"),
    );
  });

  it("a folder is no file, and a root must be there", async () => {
    mkdirSync(path.join(root, "some-folder/inner"), { recursive: true });
    const files = await localFiles();
    await expect(files.find("some-folder")).rejects.toMatchObject(refused("FILE_REFUSED", "a folder"));
    const content = async function* () {
      yield Buffer.from("x");
    };
    await expect(files.write("some-folder", content(), { replace: true, key: "", size: 1 })).rejects.toMatchObject({
      code: "FILE_REFUSED",
    });
    const { files: lost } = await openLocal(undefined, path.join(folder, "missing"));
    await expect(lost?.write("a", content(), { replace: true, key: "", size: 1 })).rejects.toMatchObject({ code: "CONNECTION_INVALID" });
  });

  it("leaves no half-written files behind, and lists none that a killed worker left", async () => {
    const files = await localFiles();
    const everything = readdirSync(root, { recursive: true, encoding: "utf8" });
    expect(everything.filter((name) => name.endsWith(".part"))).toEqual([]);
    writeFileSync(path.join(root, "contract", ".downbeat-0b5f.part"), "half");
    expect((await files.list("contract/*")).map((found) => found.path)).toEqual([]);
  });
});

describe("s3", () => {
  it("leaves no half-finished uploads behind", async () => {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads).toEqual([]);
  });

  it("a copy by the server keeps what the object says of itself, and has its own key", async () => {
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: "typed.csv", Body: "a", ContentType: "text/csv", Metadata: { by: "hand" } }),
    );
    const { files } = await openS3();
    const found = await files?.find("typed.csv");
    if (files === undefined || found === undefined) throw new Error("typed.csv is not there");
    expect(found.key).toBe("");
    const { files: target } = await openS3(undefined, { prefix: "elsewhere/" });
    expect(await target?.takeOver?.(files, found, "typed.csv", { replace: false, key: "k1", move: true })).toBe("copied");
    const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: "elsewhere/typed.csv" }));
    expect(head).toMatchObject({ ContentType: "text/csv", Metadata: { by: "hand", "downbeat-key": "k1" } });
    expect((await files.find("elsewhere/typed.csv"))?.uri).toBe((await target?.find("typed.csv"))?.uri);
  });

  it("what is too large to be copied at once is copied in parts, as it was found", async () => {
    const whole = randomBytes(12_000_000);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "big ä.bin", Body: whole }));
    const found = await (await openS3()).files?.find("big ä.bin");
    const context = testContext(folder);
    const limits = { partBytes: 5 << 20, copyBytes: 1_000_000, copyPartBytes: 5 << 20 };
    const upload = new S3Upload(
      { client, sdk, context, target: { Bucket: bucket, Key: "big copy" }, onlyNew: true },
      { Metadata: { a: "b" } },
      limits,
    );
    const source = { bucket, key: "big ä.bin", tag: found?.tag ?? "", size: whole.length };
    await upload.fromObject(source);
    const copy = await client.send(new GetObjectCommand({ Bucket: bucket, Key: "big copy" }));
    expect(Buffer.from((await copy.Body?.transformToByteArray()) ?? []).equals(whole)).toBe(true);
    expect(copy.Metadata).toEqual({ a: "b" });
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "big ä.bin", Body: Buffer.alloc(whole.length) }));
    await expect(upload.fromObject(source)).rejects.toMatchObject({ code: "LOAD_FENCED" });
  });

  it("another user's or server's object is not taken over", async () => {
    const { files } = await openS3();
    const { files: other } = await openS3(undefined, { region: "eu-north-1" });
    const local = await localFiles();
    const found = { path: "typed.csv", size: 1, tag: "t", uri: "", key: "" };
    for (const from of [other, local])
      expect(await files?.takeOver?.(from as FileStore, found, "x", { replace: false, key: "", move: false })).toBeUndefined();
    expect(await local.takeOver?.(files as FileStore, found, "x", { replace: false, key: "", move: true })).toBeUndefined();
  });

  it("globs name no bookkeeping of loads", async () => {
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "table/_downbeat/m.json", Body: "{}" }));
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: "table/a.parquet", Body: "x" }));
    const { files } = await openS3();
    expect((await files?.list("table/**"))?.map((found) => found.path)).toEqual(["table/a.parquet"]);
  });

  it("wrong credentials and a missing bucket are told as what they are", async () => {
    const { files: stranger } = await openS3(undefined, { secret_access_key: "wrong" });
    await expect(stranger?.find("a")).rejects.toMatchObject({ code: "SOURCE_AUTH" });
    const { files: lost } = await openS3(undefined, { bucket: "no-such-bucket-here" });
    await expect(lost?.list("*")).rejects.toMatchObject({ code: "SOURCE_STREAM_NOT_FOUND" });
  });
});
