// Content hashes that do not depend on the order of keys.

import { createHash } from "node:crypto";
import { canonicalText } from "../core/json.ts";

export const contentHash = (value: unknown): string => createHash("sha256").update(canonicalText(value)).digest("hex");
