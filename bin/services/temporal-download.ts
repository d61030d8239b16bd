// A process of its own that lets the Temporal SDK download the official CLI into a folder, and prints its path.
// Of its own, because the download cannot be broken off and because the SDK's runtime can be configured only once in a process.
import { readdirSync } from "node:fs";
import path from "node:path";
import { TestWorkflowEnvironment } from "@temporalio/testing";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: node bin/services/temporal-download.ts FOLDER");
try {
  const server = { executable: { type: "cached-download", downloadDir: folder } } as const;
  const environment = await TestWorkflowEnvironment.createLocal({ server });
  await environment.teardown();
  const program = readdirSync(folder).find((name) => name.startsWith("temporal"));
  if (program === undefined) throw new Error(`the SDK left no program in ${folder}`);
  console.log(path.join(folder, program));
} catch (error) {
  console.error(error instanceof Error ? error.message.split(" for url ")[0] : error);
  process.exitCode = 1;
}
