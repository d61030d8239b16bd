// An opened Singer tap: discovery, and reading one stream of it.

import { jsonText } from "../lib/json-text.ts";
import { readMessages } from "../lib/taps/read-messages.ts";
import { configFile, remembered, tapRequest } from "../lib/taps/requests.ts";
import { Tap } from "../lib/taps/tap.ts";
import type { Connector, ConnectorContext } from "../connector.ts";
import { findStream, parseCatalog, replicationOf, selectStream, streamInfo, type SingerCatalog } from "./catalog.ts";
import { singerMessages } from "./messages.ts";
import type { SingerConfig } from "./spec.ts";

export const openSinger = (config: SingerConfig, context: ConnectorContext): Promise<Connector> => {
  const tap = new Tap(config, context, {
    readers: "owner",
    launch: (folder, host) => ({ command: config.command, host, folder }),
  });
  const catalogOf = remembered(() => discover(tap));
  return Promise.resolve({
    async check() {
      await discover(tap);
    },
    source: {
      discover: async () => (await catalogOf()).streams.map(streamInfo),
      async *read(request) {
        const { keepsState, state, columns } = tapRequest(request);
        const catalog = await catalogOf();
        const chosen = findStream(catalog, request.stream);
        const replication = replicationOf(chosen, request.cursor, keepsState);
        await using run = await tap.start([], {
          ...configFile(tap),
          [config.catalog_option]: jsonText(selectStream(catalog, chosen, replication)),
          ...(state === undefined ? {} : { "--state": state }),
        });
        yield* readMessages(run.lines, singerMessages(catalog, chosen, columns), {
          stream: request.stream,
          keepsState,
          position: request.position,
          note: (text) => run.note("info", text),
          progress: context.progress,
          confirm: () => run.confirm(),
        });
      },
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};

const discover = async (tap: Tap): Promise<SingerCatalog> => {
  await using run = await tap.start(["--discover"], configFile(tap));
  const parts: string[] = [];
  for await (const lines of run.lines) for (const { bytes } of lines) parts.push(bytes.toString("utf8"));
  await run.confirm();
  return parseCatalog(parts.join("\n"));
};
