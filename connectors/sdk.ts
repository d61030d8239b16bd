// The public face of the package: what a connector or an activity of one's own is written with. `import { defineSource } from "downbeat"`.

import { z } from "zod";
import type { OwnActivity } from "./catalogue.ts";
import type { Capabilities, Connector, ConnectorContext, ConnectorSpec, Source } from "./connector.ts";
import type { ConnectorUrl } from "./connector-url.ts";
import { defineConnector } from "./lib/define.ts";

export type { Batch, Column, ColumnType, Position, Reject, Schema } from "./batch.ts";
export type {
  Capabilities,
  Connector,
  ConnectorContext,
  ConnectorSpec,
  DeadLetter,
  Destination,
  Load,
  LoadTarget,
  Publisher,
  RereadRequest,
  ResumePoint,
  Source,
  SqlWarehouse,
  StreamInfo,
  StreamRequest,
  TargetState,
} from "./connector.ts";
export type { ConnectorUrl, NamedEnd, UrlReading } from "./connector-url.ts";
export type { FileFacts, FileStore, WriteOptions } from "./file-store.ts";
export { DownbeatError as ConnectorError } from "../core/errors.ts";
export { BatchBuilder } from "./lib/batch-builder.ts";
export { secret } from "./lib/config.ts";
export { defineConnector } from "./lib/define.ts";
export { rereadObjects } from "./lib/reread.ts";
export { fromRows, toRows } from "./lib/rows.ts";

/** A source and its check; `bounds` only where the source has an upper end to fix. */
export interface OpenedSource extends Source {
  check(): Promise<void>;
  close?(): Promise<void>;
}

export interface SourceDefinition<Config extends z.ZodRawShape> {
  readonly kind: string;
  readonly title: string;
  readonly description?: string;
  readonly config: z.ZodObject<Config>;
  readonly options?: z.ZodObject;
  readonly capabilities?: Pick<Capabilities, "incremental" | "resumable">;
  readonly url?: ConnectorUrl;
  open(config: z.output<z.ZodObject<Config>>, context: ConnectorContext): Promise<OpenedSource> | OpenedSource;
}

/** A connector that only reads: the shortest way to one of one's own. */
export const defineSource = <Config extends z.ZodRawShape>(definition: SourceDefinition<Config>): ConnectorSpec => {
  const { kind, title, description = title, config, options, capabilities = {}, url, open } = definition;
  return defineConnector({
    kind,
    title,
    description,
    roles: ["source"],
    config: z.strictObject(config.shape),
    sourceOptions: options ?? z.strictObject({}),
    capabilities: { incremental: "never", resumable: false, ...capabilities },
    ...(url === undefined ? {} : { url }),
    async open(values, context): Promise<Connector> {
      const source = await open(values as z.output<z.ZodObject<Config>>, context);
      return {
        check: () => source.check(),
        source,
        [Symbol.asyncDispose]: () => source.close?.() ?? Promise.resolve(),
      };
    },
  });
};

/** An activity of one's own. With `run` Downbeat's worker registers it; without, workers on `queue` have it, in any language. */
export interface ActivityDefinition<Input = never> extends OwnActivity {
  run?(input: Input): unknown;
}

export const defineActivity = <Input>(definition: ActivityDefinition<Input>): ActivityDefinition => definition as ActivityDefinition;

export interface UserConfig {
  readonly connectors?: readonly ConnectorSpec[];
  readonly activities?: readonly ActivityDefinition[];
}

export const defineConfig = (config: UserConfig): UserConfig => config;
