// Runs contract cases as tests, and the host that connectors get in tests.

import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, it } from "vitest";
import { selectCases, type ContractCase, type Skip } from "../../connectors/contract/case.ts";
import type { Connector, ConnectorContext, ConnectorSpec } from "../../connectors/connector.ts";

export const runCases = (title: string, cases: readonly ContractCase[], skips: readonly Skip[] = []): void => {
  describe(title, () => {
    for (const { name, run, skipped } of selectCases(cases, skips)) {
      if (skipped === undefined) it(`${title}: ${name}`, run);
      else it.skip(`${title}: ${name} (${skipped})`, run);
    }
  });
};

/** A folder of this test file, removed after it. */
export const testFolder = (name: string): string => {
  const folder = mkdtempSync(path.join(tmpdir(), `downbeat-${name}-`));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const silent = (): void => undefined;

export const testContext = (folder: string, signal: AbortSignal = new AbortController().signal): ConnectorContext => ({
  signal,
  log: { debug: silent, info: silent, warn: silent },
  progress: silent,
  tempDir: folder,
  baseDir: folder,
});

export const openConnector = (
  spec: ConnectorSpec,
  config: Readonly<Record<string, unknown>>,
  context: ConnectorContext,
): Promise<Connector> => spec.open(spec.config.parse(config), context);
