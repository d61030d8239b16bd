// `npm run connector:check KIND`: runs the source contract on a connector against a system of the user's.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { selectCases } from "../connectors/contract/case.ts";
import { sourceCases } from "../connectors/contract/source.ts";
import { commandHost } from "./command-host.ts";
import { parseConfig } from "./config.ts";
import { loadCatalogue } from "./user-config.ts";

const USAGE = `npm run connector:check KIND -- --config JSON --stream NAME [--options JSON]

Runs the contract of sources on one stream of a connector named in downbeat.config.ts (or of a built-in one), against the system that --config leads to.
Only reads: nothing is written to it.

  --config    the connection's configuration, as in PUT /v1/connections/NAME
  --stream    a stream with at least two rows
  --options   further keys of from`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    config: { type: "string" },
    stream: { type: "string" },
    options: { type: "string", default: "{}" },
    help: { type: "boolean", default: false },
  },
});

const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [kind] = positionals;
if (kind === undefined || values.config === undefined || values.stream === undefined) fail(USAGE);
const settings = parseConfig(process.env);
const { catalogue } = await loadCatalogue(settings.userConfigFile);
const spec = catalogue.find(kind ?? "") ?? fail(`there is no connector "${kind}"; known: ${catalogue.kinds.join(", ")}`);
const config = spec.config.safeParse(JSON.parse(values.config ?? "{}"));
if (!config.success) fail(`--config: ${config.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}`);
const options = spec.sourceOptions?.safeParse(JSON.parse(values.options));
if (options?.success === false)
  fail(`--options: ${options.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}`);

const tempDir = await mkdtemp(path.join(tmpdir(), "downbeat-check-"));
let failed = 0;
try {
  const cases = sourceCases({
    open: (signal) =>
      spec.open(config.data as never, {
        signal,
        tempDir,
        baseDir: process.cwd(),
        programs: commandHost(settings, process.env),
        progress: () => undefined,
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
      }),
    stream: values.stream ?? "",
    options: (options?.data ?? {}) as Readonly<Record<string, unknown>>,
    capabilities: spec.capabilities,
  });
  for (const entry of selectCases(cases)) {
    try {
      await entry.run();
      console.log(`✓ ${entry.name}`);
    } catch (error) {
      failed += 1;
      console.log(`✗ ${entry.name}\n  ${error instanceof Error ? error.message.split("\n").slice(0, 6).join("\n  ") : String(error)}`);
    }
  }
  console.log(failed === 0 ? `${kind} keeps the contract of sources` : `${failed} cases failed`);
} finally {
  await rm(tempDir, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
