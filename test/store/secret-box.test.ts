// The secret box: what it seals only opens with its key, at its place, unchanged.

import { describe, expect, it } from "vitest";
import { createSecretBox } from "../../store/secret-box.ts";

const box = createSecretBox(new Uint8Array(32).fill(1));

describe("secret box", () => {
  it("opens what it sealed, and never seals the same way twice", () => {
    const [first, second] = [box.seal("päss", "here"), box.seal("päss", "here")];
    expect(first).not.toBe(second);
    expect([box.open(first, "here"), box.open(second, "here")]).toEqual(["päss", "päss"]);
  });

  it("refuses another place, another key, and changed or cut bytes", () => {
    const sealed = box.seal("secret-text", "here");
    const [version = "", key = "", body = ""] = sealed.split(":");
    const bytes = Buffer.from(body, "base64");
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    const broken = [`${version}:${key}:${bytes.toString("base64")}`, `${version}:${key}:`, `${version}:${key}`, "", `v9:${key}:${body}`];
    const opens = [
      () => box.open(sealed, "there"),
      () => createSecretBox(new Uint8Array(32).fill(2)).open(sealed, "here"),
      ...broken.map((text) => () => box.open(text, "here")),
    ];
    for (const open of opens) expect(open).toThrow(expect.objectContaining({ code: "SECRET_UNRESOLVED" }) as Error);
  });

  it("takes a key of 32 bytes alone", () => {
    expect(() => createSecretBox(new Uint8Array(31))).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }) as Error);
  });
});
