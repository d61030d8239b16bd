// Starts several services side by side, each in its own folder, and stops them together.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { DownbeatError } from "../../core/errors.ts";
import { freePort } from "../ports.ts";
import { startBigquery } from "./bigquery.ts";
import type { EmulatorAddress } from "./emulator.ts";
import { type KafkaAddress, startKafka } from "./kafka.ts";
import { type MysqlAddress, startMysql } from "./mysql.ts";
import { notOurs } from "./options.ts";
import { type PostgresAddress, startPostgres } from "./postgres.ts";
import { type S3Address, startS3 } from "./s3.ts";
import type { Say } from "./say.ts";
import { type SchemaRegistryAddress, startSchemaRegistry } from "./schema-registry.ts";
import { startSnowflake } from "./snowflake.ts";
import { findTemporal, startTemporal } from "./temporal.ts";

export interface TemporalAddress {
  readonly address: string;
  readonly uiUrl: string | undefined;
}

/** Where each started service is; one that was not asked for is missing. */
export interface ServiceAddresses {
  readonly mysql?: MysqlAddress;
  readonly kafka?: KafkaAddress;
  readonly "schema-registry"?: SchemaRegistryAddress;
  readonly s3?: S3Address;
  readonly postgres?: PostgresAddress;
  readonly snowflake?: EmulatorAddress;
  readonly bigquery?: EmulatorAddress;
  readonly temporal?: TemporalAddress;
}

export type ServiceName = keyof ServiceAddresses;

export const SERVICE_NAMES = [
  "mysql",
  "kafka",
  "schema-registry",
  "s3",
  "postgres",
  "snowflake",
  "bigquery",
  "temporal",
] as const satisfies readonly ServiceName[];

export const isServiceName = (text: string): text is ServiceName => (SERVICE_NAMES as readonly string[]).includes(text);

export interface StartedServices {
  readonly addresses: ServiceAddresses;
  stop(): Promise<void>;
}

interface Started {
  readonly address: unknown;
  stop(): Promise<void>;
}

/** In memory, or the server at DOWNBEAT_TEST_TEMPORAL: never the one that TEMPORAL_ADDRESS names for production. */
const startTestTemporal = async (dir: string, say: Say): Promise<Started> => {
  const found = await findTemporal(say, { ...process.env, TEMPORAL_ADDRESS: process.env["DOWNBEAT_TEST_TEMPORAL"] });
  if (found.kind === "address") return { ...notOurs("Temporal"), address: { address: found.address, uiUrl: undefined } };
  await mkdir(dir, { recursive: true });
  const ports = { port: await freePort(), uiPort: await freePort() };
  const running = await startTemporal({ program: found.path, logFile: path.join(dir, "temporal.log"), ...ports });
  // It is made to outlive a crash of its parent; here nobody would come back for it.
  const onExit = (): void => {
    try {
      process.kill(running.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  process.once("exit", onExit);
  const stop = async (): Promise<void> => {
    await running.stop();
    process.off("exit", onExit);
  };
  return { address: { address: running.address, uiUrl: running.uiUrl }, stop };
};

const STARTERS: Readonly<Record<ServiceName, (dir: string, say: Say) => Promise<Started>>> = {
  mysql: (dir, say) => startMysql({ dir, say }),
  kafka: (dir, say) => startKafka({ dir, say }),
  "schema-registry": (dir, say) => startSchemaRegistry({ dir, say }),
  s3: (dir, say) => startS3({ dir, say }),
  postgres: (dir, say) => startPostgres({ dir, say }),
  snowflake: (dir, say) => startSnowflake({ dir, say }),
  bigquery: (dir, say) => startBigquery({ dir, say }),
  temporal: startTestTemporal,
};

/** A server that was started but ended, or did not answer in time, is started once more with a folder and ports of its own: what else goes on on the machine may be why. */
const startService = async (name: ServiceName, dir: string, say: Say): Promise<Started> => {
  try {
    return await STARTERS[name](path.join(dir, name), say);
  } catch (error) {
    // What cannot be had at all names no log.
    if (!(error instanceof DownbeatError && error.details?.["logFile"] !== undefined)) throw error;
    say(`${error.message}. It is started once more`);
    return STARTERS[name](path.join(dir, `${name}-again`), say);
  }
};

/** Starts all or none: when one cannot be had, those that run are stopped and its reason is thrown. */
export const startServices = async (names: readonly ServiceName[], dir: string, say: Say): Promise<StartedServices> => {
  const results = await Promise.allSettled(
    names.map(async (name) => {
      const began = Date.now();
      const started = await startService(name, dir, say);
      say(`${name} answers after ${((Date.now() - began) / 1_000).toFixed(1)} s`);
      return { name, started };
    }),
  );
  const running = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(running.map(({ started }) => started.stop()));
  };
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  if (failures.length > 0) {
    await stop();
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join("\n"));
  }
  return { addresses: Object.fromEntries(running.map(({ name, started }) => [name, started.address])), stop };
};
