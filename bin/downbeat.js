#!/usr/bin/env node
// What npx starts, in whatever Node.js is on the PATH: runs downbeat.ts there, or in the Node.js that came along when it is too old for TypeScript.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const NEEDED = 24;

const ownNode = () => {
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin/node");
  } catch {
    console.error(`downbeat needs Node.js ${NEEDED}, and this is ${process.version}; npm ci in its folder brings one along`);
    return process.exit(2);
  }
};

if (Number(process.versions.node.split(".")[0]) >= NEEDED) {
  await import("./downbeat.ts");
} else {
  const script = fileURLToPath(new URL("downbeat.ts", import.meta.url));
  const child = spawn(ownNode(), [script, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; this process waits for what it makes of it.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
