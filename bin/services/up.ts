// `npm run services -- [mysql kafka schema-registry s3 postgres temporal]`: starts the named servers until Ctrl-C, for developers.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { DownbeatError } from "../../core/errors.ts";
import { isServiceName, SERVICE_NAMES, startServices } from "./all.ts";

const HELP = `npm run services -- [${SERVICE_NAMES.join("] [")}] [--show]

Starts real servers, all of them by default, in a temporary folder, and stops them on Ctrl-C.

  --show   print passwords and secret keys too
  --help   this text`;

const { values, positionals } = parseArgs({
  options: { show: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
  allowPositionals: true,
});

const masked = (key: string, value: unknown, secrets: readonly string[]): unknown => {
  if (values.show) return value;
  if (/^(password|secretAccessKey)$/.test(key)) return "••••";
  return typeof value === "string" ? secrets.reduce((text, secret) => text.replaceAll(encodeURIComponent(secret), "••••"), value) : value;
};

const print = (name: string, address: object): void => {
  const entries = Object.entries(address) as [string, unknown][];
  const secrets = entries.filter(([key]) => /^(password|secretAccessKey)$/.test(key)).map(([, value]) => String(value));
  console.log(name);
  for (const [key, value] of entries) console.log(`  ${key.padEnd(16)} ${String(masked(key, value, secrets))}`);
};

const main = async (): Promise<void> => {
  if (values.help) return console.log(HELP);
  const unknown = positionals.filter((name) => !isServiceName(name));
  if (unknown.length > 0) {
    throw new DownbeatError("CONFIG_INVALID", `there is no service ${unknown.join(", ")}; there are ${SERVICE_NAMES.join(", ")}`);
  }
  const names = positionals.length === 0 ? SERVICE_NAMES : positionals.filter(isServiceName);
  const folder = mkdtempSync(path.join(tmpdir(), "downbeat-services-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  // A Ctrl-C while they start: the exit event ends what runs already.
  const leave = (): never => process.exit(130);
  process.once("SIGINT", leave).once("SIGTERM", leave);
  const services = await startServices(names, folder, (line) => console.error(line));
  process.off("SIGINT", leave).off("SIGTERM", leave);
  for (const [name, address] of Object.entries(services.addresses) as [string, object][]) print(name, address);
  console.log("Ctrl-C stops them.");
  const keepAlive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
  });
  clearInterval(keepAlive);
  console.error("stopping …");
  await services.stop();
};

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
