// The file verb between a folder and a real S3 server, and within S3: bytes arrive, and who wrote what is known again.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it } from "vitest";
import { fileVerb } from "../activities/file-kit.ts";
import { freshBucket } from "../fixtures/services.ts";
import { testFolder } from "./kit.ts";

const folder = testFolder("file-operator");
const data = path.join(folder, "data");
mkdirSync(path.join(data, "in"), { recursive: true });
const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await freshBucket();
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
const config = { bucket, endpoint, region, path_style: true, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
const call = fileVerb({ baseDir: data }, folder, {
  lake: { kind: "s3", config },
  archive: { kind: "s3", config: { ...config, prefix: "archive/" } },
});

const bodyOf = async (Key: string): Promise<Buffer | undefined> => {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  } catch (error) {
    if ((error as Error).name === "NoSuchKey") return undefined;
    throw error;
  }
};
const put = (Key: string, Body: string | Buffer): Promise<unknown> => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));

describe("the file operator with S3", () => {
  it("takes a large file up, over and down again, byte by byte", async () => {
    const whole = randomBytes(20_000_000);
    writeFileSync(path.join(data, "in/large.bin"), whole);
    await call({ action: "copy", from: { path: "in/large.bin" }, to: { connection: "lake", path: "up/" } });
    await call({ action: "move", from: { connection: "lake", glob: "up/*" }, to: { connection: "archive", path: "2026/" } });
    expect(await bodyOf("up/large.bin")).toBeUndefined();
    const { output } = await call({ action: "move", from: { connection: "archive", path: "2026/large.bin" }, to: { path: "back.bin" } });
    expect(output).toEqual({ files: 1, bytes: 20_000_000, skipped: 0 });
    expect(readFileSync(path.join(data, "back.bin")).equals(whole)).toBe(true);
    expect(await bodyOf("archive/2026/large.bin")).toBeUndefined();
  });

  it("a move that was made already is known by its key, on a first look as well", async () => {
    await put("m/a", "content");
    const move = { action: "move", from: { connection: "lake", path: "m/a" }, to: { connection: "lake", path: "m/b" } };
    await call(move);
    expect((await call(move)).output).toEqual({ files: 1, bytes: 7, skipped: 0 });
    expect((await call(move, { run: { id: "r2" } })).output).toMatchObject({ files: 1 });
    // Another task, another run, an object that somebody else put there: none of them moved it.
    for (const other of [{ call: { taskId: "other" } }, { run: { id: "r9", origin: "r9" } }])
      await expect(call(move, other)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    // The test server keeps the metadata of an object that is written over, which S3 does not.
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "m/b" }));
    await put("m/b", "foreign");
    await expect(call(move, { call: { attempt: 2 } })).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("another content stays, the same one is done, also between a folder and a bucket", async () => {
    writeFileSync(path.join(data, "in/x"), "new");
    await put("x", "old");
    const copy = { action: "copy", from: { path: "in/x" }, to: { connection: "lake", path: "x" } };
    await expect(call(copy)).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect(String(await bodyOf("x"))).toBe("old");
    await call({ ...copy, overwrite: "replace" });
    expect((await call({ ...copy, action: "move" })).output).toMatchObject({ files: 1 });
    expect([String(await bodyOf("x")), existsSync(path.join(data, "in/x"))]).toEqual(["new", false]);
  });

  it("a move onto itself through a connection with a prefix loses nothing", async () => {
    await put("archive/self", "here");
    const move = {
      action: "move",
      from: { connection: "lake", path: "archive/self" },
      to: { connection: "archive", path: "self" },
      overwrite: "replace",
    };
    expect((await call(move)).output).toEqual({ files: 0, bytes: 0, skipped: 1 });
    expect(String(await bodyOf("archive/self"))).toBe("here");
  });

  it("deletes and looks by glob", async () => {
    for (const name of ["d/1.tmp", "d/2.tmp", "d/keep"]) await put(name, "x");
    expect((await call({ action: "delete", from: { connection: "lake", glob: "d/*.tmp" } })).output).toEqual({
      files: 2,
      bytes: 2,
      skipped: 0,
    });
    const exists = { action: "exists", from: { connection: "lake", glob: "d/*" } };
    expect((await call(exists)).output).toEqual({ exists: true, files: 1, bytes: 1, paths: ["d/keep"] });
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "d/keep" }));
    expect((await call(exists)).output).toMatchObject({ exists: false });
  });
});
