// Opens fake taps, and keeps what they and their hosts said.

import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import type { Batch } from "../../connectors/batch.ts";
import type { Connector, ConnectorContext, ConnectorSpec, StreamRequest } from "../../connectors/connector.ts";
import { toRows } from "../../connectors/lib/rows.ts";
import type { Json } from "../../core/json.ts";
import { testContext, testFolder } from "./kit.ts";
import type { Act, Start } from "../fixtures/fake-tap.ts";

export const FAKE_TAP = [process.execPath, path.resolve(import.meta.dirname, "../fixtures/fake-tap.ts")] as const;

export interface Said {
  readonly level: string;
  readonly line: string;
}

interface Changes {
  /** Of the connection. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Of the tap's own configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly changed?: Partial<ConnectorContext>;
}

export const useTaps = (name: string, spec: ConnectorSpec) => {
  const folder = testFolder(name);
  const seen = path.join(folder, "seen.jsonl");
  const said: Said[] = [];
  const write =
    (level: string) =>
    (_: unknown, line: string): void =>
      void said.push({ level, line });
  const context = (signal?: AbortSignal): ConnectorContext => ({
    ...testContext(folder, signal),
    log: { debug: write("debug"), info: write("info"), warn: write("warn") },
    programs: { allowed: [process.execPath], images: [], environment: { PATH: "/usr/bin:/bin" }, folder },
  });
  const open = (
    acts: Readonly<Record<string, Act>>,
    { more = {}, config: tapConfig = {}, changed = {} }: Changes = {},
  ): Promise<Connector> => {
    said.length = 0;
    rmSync(seen, { force: true });
    mkdirSync(folder, { recursive: true });
    const config = spec.config.parse({
      command: FAKE_TAP,
      config: JSON.parse(JSON.stringify({ acts, seen, ...tapConfig })) as unknown,
      ...more,
    });
    return spec.open(config, { ...context(), ...changed });
  };
  const request = (given: Partial<StreamRequest> = {}): StreamRequest => ({
    stream: "orders",
    nullCursor: "fail",
    newRun: true,
    position: null,
    bounds: null,
    seen: () => Promise.resolve(new Set()),
    ...given,
    options: spec.sourceOptions?.parse(given.options ?? {}) as Record<string, unknown>,
  });
  return {
    folder,
    said,
    open,
    request,
    starts: (): readonly Start[] =>
      existsSync(seen)
        ? readFileSync(seen, "utf8")
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line) as Start)
        : [],
    async read(connector: Connector, given: Partial<StreamRequest> = {}): Promise<readonly Batch[]> {
      const batches: Batch[] = [];
      for await (const batch of connector.source?.read(request(given)) ?? []) batches.push(batch);
      return batches;
    },
  };
};

export const rowsIn = (batches: readonly Batch[]): readonly Record<string, Json>[] => batches.flatMap(toRows);
export const rejectsIn = (batches: readonly Batch[]) => batches.flatMap(({ rejects = [] }) => rejects);
