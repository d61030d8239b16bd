// Secrets by reference, and the key file of the embedded store.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../bin/config.ts";
import { createSecretResolver, secretKeyOf } from "../../bin/secrets.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-secrets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("secret references", () => {
  const resolve = createSecretResolver({ DB_PASSWORD: "s3cret", EMPTY: "" });

  it("come out of the environment or a file", async () => {
    const file = path.join(folder, "token");
    writeFileSync(file, "t0ken\n");
    expect(await resolve({ env: "DB_PASSWORD" })).toBe("s3cret");
    expect(await resolve({ file })).toBe("t0ken");
  });

  it.each([
    [{ env: "ABSENT" }, /ABSENT is not set/],
    [{ env: "EMPTY" }, /EMPTY is not set/],
    [{ file: path.join(folder, "absent") }, /absent cannot be read.*ENOENT/],
    [{ vault: "x" }, /\{"env": NAME\} or \{"file": PATH\}/],
  ])("%j is refused with a reason", async (reference, reason) => {
    await expect(resolve(reference)).rejects.toMatchObject({ code: "SECRET_UNRESOLVED", message: expect.stringMatching(reason) as string });
  });
});

describe("the key that seals secrets", () => {
  const config = parseConfig({ DOWNBEAT_DATA_DIR: path.join(folder, "data") });

  it("processes of their own need a key that they share", () => {
    expect(() => secretKeyOf(config, "several processes")).toThrow(/DOWNBEAT_SECRET_KEY/);
  });

  it("is made once for the embedded store, for its owner's eyes alone", () => {
    const key = secretKeyOf(config, "one process");
    expect(key).toHaveLength(32);
    const file = path.join(folder, "data", "secret.key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(secretKeyOf(config, "one process")).toEqual(key);
    expect(readFileSync(file, "utf8")).toBe(Buffer.from(key).toString("hex"));
  });

  it("a configured one is taken as it is", () => {
    const configured = parseConfig({ DOWNBEAT_DATA_DIR: folder, DOWNBEAT_SECRET_KEY: "ab".repeat(32) });
    expect(secretKeyOf(configured, "several processes")).toEqual(Buffer.alloc(32, 0xab));
  });
});
