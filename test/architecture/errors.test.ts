// Every error code is one that something throws and that some test expects.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { ERRORS } from "../../core/errors.ts";

const root = path.resolve(import.meta.dirname, "../..");

const textOf = (folders: readonly string[], belongs: (file: string) => boolean): string =>
  folders
    .flatMap((folder) => readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => path.join(folder, name)))
    .filter((file) => file.endsWith(".ts") && belongs(file))
    .map((file) => readFileSync(path.join(root, file), "utf8"))
    .join("\n");

const lacking = (text: string): readonly string[] => Object.keys(ERRORS).filter((code) => !new RegExp(`\\b${code}\\b`).test(text));

// The contract suites are tests that are shipped with the connectors.
const CONTRACT = /^connectors\/contract\//;
// Says what every code means, and so names them all.
const TABLES = /^(core\/errors|bin\/docs\/.*)\.ts$/;

it("every code of the table is thrown somewhere", () => {
  const folders = ["core", "connectors", "store", "workflows", "activities", "api", "bin"];
  expect(lacking(textOf(folders, (file) => !CONTRACT.test(file) && !TABLES.test(file)))).toEqual([]);
});

it("every code of the table is expected by a test", () => {
  expect(lacking(textOf(["test", "connectors/contract"], (file) => !file.startsWith("test/architecture/")))).toEqual([]);
});
