// Secrets by reference, and the key that seals those given by value. Only bin reads the environment.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import type { Config } from "./config.ts";

/** `{ env: NAME }` and `{ file: PATH }` to their values; the message never has the value. */
export const createSecretResolver = (env: Readonly<Record<string, string | undefined>>, reader: "worker" | "API" = "worker") => {
  return async (reference: JsonObject): Promise<string> => {
    const { env: name, file } = reference;
    if (typeof name === "string") {
      const value = env[name];
      if (value === undefined || value === "")
        throw new DownbeatError("SECRET_UNRESOLVED", `the environment variable ${name} is not set in the ${reader}'s environment`);
      return value;
    }
    if (typeof file !== "string") throw new DownbeatError("SECRET_UNRESOLVED", 'a secret reference is {"env": NAME} or {"file": PATH}');
    try {
      return (await readFile(file, "utf8")).replace(/\r?\n$/, "");
    } catch (error) {
      throw new DownbeatError(
        "SECRET_UNRESOLVED",
        `the secret file ${file} cannot be read by the ${reader}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
};

/** The configured key, or one in the data folder that is made once and readable by its owner alone: enough for one process. */
export const secretKeyOf = ({ secretKey, dataDir }: Config, use: "one process" | "several processes"): Uint8Array => {
  if (secretKey !== undefined) return Buffer.from(secretKey, "hex");
  const file = path.join(dataDir, "secret.key");
  if (!existsSync(file)) {
    if (use === "several processes") {
      throw new DownbeatError(
        "CONFIG_INVALID",
        "API and workers share the store's secrets: set DOWNBEAT_SECRET_KEY (64 hex digits; make one with: openssl rand -hex 32)",
      );
    }
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(file, randomBytes(32).toString("hex"), { mode: 0o600 });
  }
  return Buffer.from(readFileSync(file, "utf8").trim(), "hex");
};
