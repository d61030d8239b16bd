// The contract of sources as cases: what every source promises, on one stream of a real system. Ships with the product.

import assert from "node:assert/strict";
import type { Batch } from "../batch.ts";
import type { Capabilities, Connector, StreamRequest } from "../connector.ts";
import { toRows } from "../lib/rows.ts";
import type { ContractCase } from "./case.ts";

export interface SourceSubject {
  open(signal: AbortSignal): Promise<Connector>;
  readonly stream: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly capabilities: Capabilities;
  /** Exactly these rows are in the stream, where the caller knows. */
  readonly expectedRows?: number;
  readonly cursor?: string;
  readonly key?: readonly string[];
  /** The name under which discovery lists the stream, with its columns; for systems that know both. */
  readonly discovered?: string;
  /** A stream without rows. */
  readonly emptyStream?: string;
  /** Adds rows behind those that are there; for the case that bounds hold. */
  readonly append?: () => Promise<void>;
  /** Configured with wrong credentials, and with an address where nothing listens. */
  readonly openUnauthorized?: () => Promise<Connector>;
  readonly openUnreachable?: () => Promise<Connector>;
}

const request = (subject: SourceSubject, more: Partial<StreamRequest> = {}): StreamRequest => ({
  stream: subject.stream,
  options: subject.options,
  nullCursor: "fail",
  newRun: true,
  position: null,
  bounds: null,
  seen: () => Promise.resolve(new Set<string>()),
  ...(subject.cursor === undefined ? {} : { cursor: subject.cursor }),
  ...(subject.key === undefined ? {} : { key: subject.key }),
  ...more,
});

const sourceOf = (connector: Connector): NonNullable<Connector["source"]> => {
  assert.ok(connector.source, "open() gives no source although the connector is one");
  return connector.source;
};

interface Opened {
  readonly connector: Connector;
  readonly source: NonNullable<Connector["source"]>;
  readonly abort: AbortController;
}

const withSource = async (subject: SourceSubject, work: (opened: Opened) => Promise<void>): Promise<void> => {
  const abort = new AbortController();
  const connector = await subject.open(abort.signal);
  try {
    await work({ connector, source: sourceOf(connector), abort });
  } finally {
    await connector[Symbol.asyncDispose]();
  }
};

const readAll = async ({ source }: Opened, asked: StreamRequest): Promise<readonly Batch[]> => {
  const batches: Batch[] = [];
  for await (const batch of source.read(asked)) batches.push(batch);
  return batches;
};

const boundsOf = async ({ source }: Opened, asked: StreamRequest): Promise<StreamRequest["bounds"]> =>
  (await source.bounds?.(asked)) ?? null;

/** What the destination would have remembered after these batches. */
const seenAfter = (batches: readonly Batch[]): StreamRequest["seen"] => {
  const items = new Set(batches.flatMap((batch) => batch.items ?? []));
  return (asked) => Promise.resolve(new Set(asked.filter((item) => items.has(item))));
};

const textRows = (batches: readonly Batch[]): readonly string[] =>
  batches.flatMap((batch) => toRows(batch).map((row) => JSON.stringify(row)));

const rejectsWith = async (codes: readonly string[], work: () => Promise<unknown>): Promise<void> => {
  await assert.rejects(work, (error: unknown) => {
    const code = (error as { readonly code?: string }).code ?? "(none)";
    assert.ok(
      codes.includes(code),
      `expected ${codes.join(" or ")}, got ${code}: ${error instanceof Error ? error.message : String(error)}`,
    );
    return true;
  });
};

export const sourceCases = (subject: SourceSubject): readonly ContractCase[] => {
  const cases: ContractCase[] = [
    { name: "check succeeds", run: () => withSource(subject, ({ connector }) => connector.check()) },
    {
      name: "discover lists streams with names",
      run: () =>
        withSource(subject, async ({ source }) => {
          const streams = await source.discover();
          for (const stream of streams) assert.notEqual(stream.name, "", "a stream without a name");
          if (subject.discovered === undefined) return;
          const found = streams.find(({ name }) => name === subject.discovered);
          assert.ok(found, `"${subject.discovered}" is not listed: ${streams.map(({ name }) => name).join(", ")}`);
          assert.ok(found.columns.length > 0, `"${subject.discovered}" is listed without columns`);
        }),
    },
    {
      name: "every batch has one vector for each column, and as many values as rows",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject);
          for (const batch of await readAll(opened, { ...asked, bounds: await boundsOf(opened, asked) })) {
            assert.equal(batch.columns.length, batch.schema.columns.length);
            for (const [place, vector] of batch.columns.entries()) {
              if (vector.layout === "text") assert.ok(vector.offsets.length >= batch.rows + 1, `column ${place} has too few offsets`);
              if (batch.schema.columns[place]?.nullable === false)
                assert.ok(vector.valid === null || !vector.valid.subarray(0, batch.rows).includes(0), `column ${place} has NULLs`);
            }
          }
        }),
    },
    {
      name: "two readings give the same rows in the same order",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject);
          const bounds = await boundsOf(opened, asked);
          const first = textRows(await readAll(opened, { ...asked, bounds }));
          assert.deepEqual(textRows(await readAll(opened, { ...asked, bounds })), first);
          assert.ok(first.length > 0, "the stream is empty: the contract needs rows");
          if (subject.expectedRows !== undefined) assert.equal(first.length, subject.expectedRows);
        }),
    },
    {
      name: "reading from each position gives exactly the rows that follow",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject);
          const bounds = await boundsOf(opened, asked);
          const batches = await readAll(opened, { ...asked, bounds });
          const all = textRows(batches);
          let before = 0;
          for (const [index, batch] of batches.entries()) {
            before += batch.rows;
            if (batch.position === null) continue;
            const seen = seenAfter(batches.slice(0, index + 1));
            const rest = textRows(await readAll(opened, { ...asked, seen, bounds, newRun: false, position: batch.position }));
            assert.deepEqual(rest, all.slice(before));
          }
        }),
    },
    {
      name: "a reader that stops early is let go",
      run: () =>
        withSource(subject, async ({ source }) => {
          const asked = request(subject);
          const bounds = (await source.bounds?.(asked)) ?? null;
          for await (const batch of source.read({ ...asked, bounds })) {
            assert.ok(batch.rows > 0, "the first batch is empty although the stream has rows");
            break;
          }
        }),
    },
    {
      name: "an abort stops it",
      run: () =>
        withSource(subject, async ({ source, abort }) => {
          const asked = request(subject);
          abort.abort(new Error("stop"));
          await assert.rejects(async () => {
            const bounds = (await source.bounds?.(asked)) ?? null;
            for await (const _ of source.read({ ...asked, bounds }));
          });
        }),
    },
    {
      name: "an unknown stream is SOURCE_STREAM_NOT_FOUND",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject, { stream: "there_is_no_such_stream_7f3a" });
          await rejectsWith(["SOURCE_STREAM_NOT_FOUND"], async () => readAll(opened, { ...asked, bounds: await boundsOf(opened, asked) }));
        }),
    },
  ];
  const { emptyStream, append, openUnauthorized, openUnreachable } = subject;
  if (emptyStream !== undefined) {
    cases.push({
      name: "an empty stream yields a batch without rows",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject, { stream: emptyStream });
          const batches = await readAll(opened, { ...asked, bounds: await boundsOf(opened, asked) });
          assert.ok(batches.length > 0, "nothing came: the destination cannot learn the columns");
          assert.equal(textRows(batches).length, 0);
        }),
    });
  }
  if (append !== undefined) {
    cases.push({
      name: "bounds hold while rows are added, and the next run brings each row that is new once",
      run: () =>
        withSource(subject, async (opened) => {
          const asked = request(subject);
          const bounds = await boundsOf(opened, asked);
          const before = await readAll(opened, { ...asked, bounds });
          await append();
          if (opened.source.bounds !== undefined)
            assert.equal(textRows(await readAll(opened, { ...asked, bounds })).length, textRows(before).length);
          const next = { ...asked, seen: seenAfter(before), position: before.at(-1)?.position ?? null };
          const added = textRows(await readAll(opened, { ...next, bounds: await boundsOf(opened, next) }));
          assert.ok(added.length > 0, "the added rows did not come");
          assert.equal(new Set([...added, ...textRows(before)]).size, added.length + textRows(before).length, "rows came twice");
        }),
    });
  }
  const refused = async (open: () => Promise<Connector>, code: string): Promise<void> => {
    await rejectsWith([code], async () => {
      const connector = await open();
      try {
        await connector.check();
      } finally {
        await connector[Symbol.asyncDispose]();
      }
    });
  };
  if (openUnauthorized !== undefined)
    cases.push({ name: "wrong credentials are SOURCE_AUTH", run: () => refused(openUnauthorized, "SOURCE_AUTH") });
  if (openUnreachable !== undefined)
    cases.push({ name: "nobody there is SOURCE_UNAVAILABLE", run: () => refused(openUnreachable, "SOURCE_UNAVAILABLE") });
  return cases;
};
