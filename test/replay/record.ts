// `node test/replay/record.ts NAME`: records the histories that the replay gate holds later code against, in histories/NAME/; the name says which commit made them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startServices } from "../../bin/services/all.ts";
import { startEngine } from "../workflow/engine.ts";
import { historyText } from "./histories.ts";
import { openEngineOptions } from "./plans.ts";
import { recordContinued } from "./record-continued.ts";
import { recordOwners } from "./record-owners.ts";
import { recordRuns } from "./record-runs.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-record-"));
const services = await startServices(["temporal", "kafka"], folder, console.log);
const target = path.join(import.meta.dirname, "histories", process.argv[2] ?? "new");
mkdirSync(target, { recursive: true });
try {
  const { options, close } = await openEngineOptions();
  const engine = await startEngine(services.addresses.temporal?.address ?? "", options);
  const owners = await recordOwners(services.addresses.temporal?.address ?? "", services.addresses.kafka?.brokers ?? []);
  for (const { name, history } of [...(await recordRuns(engine)), ...owners, ...(await recordContinued())]) {
    writeFileSync(path.join(target, `${name}.json`), historyText(history));
    console.log(`${name}: ${history.events?.length ?? 0} events`);
  }
  await engine.stop();
  await close();
} finally {
  await services.stop();
  rmSync(folder, { recursive: true, force: true });
}
