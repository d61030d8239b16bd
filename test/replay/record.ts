// `node test/replay/record.ts`: records the histories that the replay gate holds later code against, each in a file of histories/.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startServices } from "../../bin/services/all.ts";
import { startEngine } from "../workflow/engine.ts";
import { OWN, RECORDED } from "./plans.ts";
import { historyText } from "./histories.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-record-"));
const services = await startServices(["temporal"], folder, console.log);
const target = path.join(import.meta.dirname, "histories");
mkdirSync(target, { recursive: true });
try {
  const engine = await startEngine(services.addresses.temporal?.address ?? "", { own: OWN });
  for (const [name, { plan, options }] of Object.entries(RECORDED)) {
    const run = await engine.run(plan, options);
    writeFileSync(path.join(target, `${name}.json`), historyText(await run.handle.fetchHistory()));
    console.log(`${name}: ${run.outcome}`);
  }
  await engine.stop();
} finally {
  await services.stop();
  rmSync(folder, { recursive: true, force: true });
}
