// A connector of one's own, written with the package's public face alone, keeps the contract of sources.

import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createCatalogue } from "../../connectors/catalogue.ts";
import { sourceCases } from "../../connectors/contract/source.ts";
import { ConnectorError, defineSource, fromRows, secret, type Column } from "../../connectors/sdk.ts";

const CONTACTS = Array.from({ length: 7 }, (_, index) => ({ id: index + 1, name: `contact ${index + 1}` }));
const COLUMNS: readonly Column[] = [
  { name: "id", type: { kind: "int64" }, nullable: false },
  { name: "name", type: { kind: "string" }, nullable: true },
];
const PAGE = 3;

const crm = defineSource({
  kind: "my-crm",
  title: "My CRM",
  config: z.object({ token: secret() }),
  capabilities: { incremental: "never", resumable: true },
  open: ({ token }, { signal }) => ({
    check: () => (token === "right" ? Promise.resolve() : Promise.reject(new ConnectorError("SOURCE_AUTH", "the CRM refused the token"))),
    discover: () => Promise.resolve([{ name: "contacts", key: ["id"], columns: COLUMNS }]),
    async *read({ stream, position }) {
      if (stream !== "contacts" && stream !== "nobody") throw new ConnectorError("SOURCE_STREAM_NOT_FOUND", `the CRM has no "${stream}"`);
      const rows = stream === "contacts" ? CONTACTS : [];
      let from = typeof position === "number" ? position : 0;
      do {
        signal.throwIfAborted();
        await Promise.resolve();
        const next = Math.min(from + PAGE, rows.length);
        yield fromRows(COLUMNS, rows.slice(from, next), { position: next });
        from = next;
      } while (from < rows.length);
    },
  }),
});

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-sdk-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

const open = (token: string, signal: AbortSignal = new AbortController().signal) =>
  crm.open(crm.config.parse({ token }), {
    signal,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    progress: () => undefined,
    tempDir: folder,
    baseDir: folder,
  });

describe("a connector of one's own", () => {
  const cases = sourceCases({
    open: (signal) => open("right", signal),
    stream: "contacts",
    discovered: "contacts",
    options: {},
    capabilities: crm.capabilities,
    expectedRows: CONTACTS.length,
    emptyStream: "nobody",
    openUnauthorized: () => open("wrong"),
  });
  it.each(cases.map(({ name, run }) => [name, run] as const))("%s", (_name, run) => run());

  it("is in the catalogue, its secret marked", () => {
    const [described] = createCatalogue([crm]).describe();
    expect(described).toMatchObject({ kind: "my-crm", roles: ["source"], secrets: ["token"] });
  });

  it("of a kind that is there already is refused", () => {
    expect(() => createCatalogue([crm, crm])).toThrow('"my-crm"');
  });

  it("makes another catalogue hash than without it, whatever the order", () => {
    const other = defineSource({ kind: "other", title: "Other", config: z.object({}), open: () => Promise.reject(new Error("never")) });
    expect(createCatalogue([crm]).hash).not.toBe(createCatalogue([]).hash);
    expect(createCatalogue([crm, other]).hash).toBe(createCatalogue([other, crm]).hash);
  });
});

describe("the contract of sources finds", () => {
  const faulty = (rows: (from: number) => readonly number[], position: (index: number) => number) =>
    sourceCases({
      open: () =>
        Promise.resolve({
          check: () => Promise.resolve(),
          source: {
            discover: () => Promise.resolve([]),
            async *read({ position: at }) {
              await Promise.resolve();
              for (const [index, id] of rows(typeof at === "number" ? at : 0).entries())
                yield fromRows(COLUMNS, [{ id, name: null }], { position: position(index) });
            },
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }),
      stream: "s",
      options: {},
      capabilities: {},
    });
  const fails = (cases: ReturnType<typeof faulty>, name: string): Promise<void> => {
    const found = cases.find((entry) => entry.name === name);
    return expect(found?.run()).rejects.toThrow();
  };

  it("a source that doubles rows when it goes on", async () => {
    await fails(
      faulty(
        (from) => [1, 2, 3].slice(Math.max(from - 1, 0)),
        (index) => index + 1,
      ),
      "reading from each position gives exactly the rows that follow",
    );
  });

  it("a source that gives other rows every time", async () => {
    let next = 0;
    await fails(
      faulty(
        () => [(next += 1)],
        () => 1,
      ),
      "two readings give the same rows in the same order",
    );
  });

  it("a source that reads on after an abort, and one that knows every stream", async () => {
    await fails(
      faulty(
        () => [1],
        () => 1,
      ),
      "an abort stops it",
    );
    await fails(
      faulty(
        () => [1],
        () => 1,
      ),
      "an unknown stream is SOURCE_STREAM_NOT_FOUND",
    );
  });
});
