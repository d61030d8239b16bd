// An opened Airbyte source: its check, its discovery, and reading one stream of it.

import { randomUUID } from "node:crypto";
import path from "node:path";
import { DownbeatError } from "../../core/errors.ts";
import type { Connector, ConnectorContext } from "../connector.ts";
import { jsonText, parseObject } from "../lib/json-text.ts";
import type { Row } from "../lib/rows.ts";
import { readMessages } from "../lib/taps/read-messages.ts";
import { configFile, remembered, tapRequest } from "../lib/taps/requests.ts";
import { Tap, type Launcher } from "../lib/taps/tap.ts";
import { configuredCatalog, findStream, streamInfo, type AirbyteStream } from "./catalog.ts";
import { airbyteMessages, SourceTalk } from "./messages.ts";
import type { AirbyteConfig } from "./spec.ts";

export const openAirbyte = (config: AirbyteConfig, context: ConnectorContext): Promise<Connector> => {
  const tap = new Tap(config, context, launcherOf(config));
  const streamsOf = remembered(async () => {
    const { streams } = (await ask(tap, "discover", "CATALOG"))["catalog"] as { readonly streams: readonly AirbyteStream[] };
    return streams;
  });
  return Promise.resolve({
    async check() {
      const { status, message } = (await ask(tap, "check", "CONNECTION_STATUS"))["connectionStatus"] as Row;
      if (status === "SUCCEEDED") return;
      throw new DownbeatError("CONNECTION_INVALID", `the source's check failed: ${tap.redact(String(message ?? "without a message"))}`);
    },
    source: {
      discover: async () => (await streamsOf()).map(streamInfo),
      async *read(request) {
        const { keepsState, state, columns } = tapRequest(request);
        const chosen = findStream(await streamsOf(), request.stream);
        await using run = await tap.start(["read"], {
          ...configFile(tap),
          "--catalog": jsonText(configuredCatalog(chosen, request.cursor, keepsState)),
          ...(state === undefined ? {} : { "--state": state }),
        });
        const talk = new SourceTalk(tap, run);
        yield* readMessages(run.lines, airbyteMessages(chosen, columns, talk, state), {
          stream: request.stream,
          keepsState,
          position: request.position,
          note: (text) => run.note("info", text),
          progress: context.progress,
          confirm: () => talk.confirm(),
        });
      },
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
};

/** The one answer of a command that gives one. */
const ask = async (tap: Tap, verb: "check" | "discover", type: string): Promise<Row> => {
  await using run = await tap.start([verb], configFile(tap));
  const talk = new SourceTalk(tap, run);
  let answer: Row | undefined;
  for await (const lines of run.lines) {
    for (const { bytes } of lines) {
      const message = parseObject(bytes.toString("utf8"));
      if (typeof message === "string" || talk.take(message)) continue;
      if (message["type"] === type) answer = message;
    }
  }
  // A failed check may end with a code that says so.
  if (answer === undefined || verb !== "check") await talk.confirm();
  if (answer !== undefined) return answer;
  throw new DownbeatError(
    "SOURCE_DATA_INVALID",
    `the source answers ${verb} without a message of the type ${type}; is it an Airbyte source?`,
  );
};

const INSIDE = "/downbeat";

const launcherOf = ({ command, image, environment }: AirbyteConfig): Launcher => {
  if (image === undefined) return { readers: "owner", launch: (folder, host) => ({ command: command ?? [], host, folder }) };
  return {
    readers: "all",
    launch(folder, host) {
      if (!host.images.some((entry) => path.matchesGlob(image, entry))) {
        const allows = host.images.length === 0 ? "no image" : `only ${host.images.join(", ")}`;
        const message = `the worker may not run the image "${image}": DOWNBEAT_IMAGES allows ${allows}; add it there, in the worker's environment`;
        throw new DownbeatError("COMMAND_REFUSED", message, { details: { image, allowed: host.images } });
      }
      const name = `downbeat-${randomUUID()}`;
      const variables = Object.keys(environment).flatMap((variable) => ["--env", variable]);
      return {
        command: [
          "docker",
          "run",
          "--rm",
          "--interactive",
          "--init",
          "--name",
          name,
          "--volume",
          `${folder}:${INSIDE}`,
          ...variables,
          image,
        ],
        host: { ...host, allowed: ["docker"] },
        folder: INSIDE,
        clear: ["rm", "--force", name],
      };
    },
  };
};
