// Seals secrets for the store: AES-256-GCM, bound to the place where they belong.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { DownbeatError } from "../core/errors.ts";

export interface SecretBox {
  /** `place` names what the secret belongs to; a sealed text opens at no other place. */
  seal(secret: string, place: string): string;
  open(sealed: string, place: string): string;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

export const createSecretBox = (key: Uint8Array): SecretBox => {
  if (key.length !== 32) throw new DownbeatError("CONFIG_INVALID", `the secret key is ${key.length} bytes; it must be 32 (64 hex digits)`);
  const keyId = createHash("sha256").update(key).digest("hex").slice(0, 8);
  return {
    seal(secret, place) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(place));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return `v1:${keyId}:${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64")}`;
    },
    open(sealed, place) {
      const [version, usedKey, body = ""] = sealed.split(":");
      if (version !== "v1" || usedKey !== keyId) {
        throw new DownbeatError(
          "SECRET_UNRESOLVED",
          `a secret of ${place} was sealed with another key (${usedKey}); start with that DOWNBEAT_SECRET_KEY, or save the secret again`,
        );
      }
      const bytes = Buffer.from(body, "base64");
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, IV_BYTES)).setAAD(Buffer.from(place));
        decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString("utf8");
      } catch (error) {
        throw new DownbeatError("SECRET_UNRESOLVED", `a secret of ${place} was changed or moved in the store; save the secret again`, {
          cause: error,
        });
      }
    },
  };
};
