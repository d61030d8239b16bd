// Temporary folders of workers: one's own goes with it, those of killed ones go with the next start, nothing else is touched.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { openTempFolder } from "../../bin/temp-folder.ts";

const root = mkdtempSync(path.join(tmpdir(), "downbeat-folders-"));
const module = path.resolve(import.meta.dirname, "../../bin/temp-folder.ts");
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** A process that has opened its folder, and its path. */
const open = async (): Promise<{ readonly child: ChildProcess; readonly folder: string }> => {
  const script = `const { openTempFolder } = await import(${JSON.stringify(module)});
    console.log((await openTempFolder(${JSON.stringify(root)})).path);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const folder = said.toString("utf8").trim();
  mkdirSync(path.join(folder, "downbeat-Ab12"));
  writeFileSync(path.join(folder, "downbeat-Ab12", "part.parquet"), "rows");
  return { child, folder };
};

it("a killed worker's folder goes with the next start; a live one's, and what is nobody's, stay", async () => {
  const [killed, live] = [await open(), await open()];
  expect(killed.folder).not.toBe(live.folder);
  killed.child.kill("SIGKILL");
  await once(killed.child, "close");
  const { pid } = live.child;
  const others = [
    "downbeat-xY34",
    "worker-elsewhere-1-1-1",
    path.basename(killed.folder).replace(/^worker-/, "worker-other."),
    `${path.basename(killed.folder)}.kept`,
  ];
  for (const name of others) mkdirSync(path.join(root, name));
  // Its pid is somebody else's by now.
  const reused = path.basename(live.folder).replace(/-\d+$/, "-1");
  expect(reused).toContain(`-${pid}-`);
  mkdirSync(path.join(root, reused));

  const own = await openTempFolder(root);
  expect(readdirSync(root).toSorted()).toEqual([...others, path.basename(live.folder), path.basename(own.path)].toSorted());
  expect(existsSync(path.join(live.folder, "downbeat-Ab12", "part.parquet"))).toBe(true);
  await own.remove();
  expect(existsSync(own.path)).toBe(false);
});
