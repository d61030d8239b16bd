// `npm run docs:generate` writes the generated reference pages; `--check` (npm run docs:check) fails when one is stale.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pages } from "./docs/pages.ts";

const folder = path.resolve(import.meta.dirname, "../docs/reference");
const isCheck = process.argv.includes("--check");

const current = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

const stale = pages().filter(({ file, text }) => current(path.join(folder, file)) !== text);
for (const { file, text } of stale) if (!isCheck) writeFileSync(path.join(folder, file), text);
const names = stale.map(({ file }) => file).join(", ");
if (stale.length === 0) console.log("docs/reference is fresh");
else console.log(isCheck ? `stale: ${names}; run npm run docs:generate` : `written: ${names}`);
process.exitCode = isCheck && stale.length > 0 ? 1 : 0;
