// Kafka: an address given by the user, a container, or one broker in KRaft mode as a Java process.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { Admin } from "@platformatic/kafka";
import { dockerImage, runContainer } from "./docker.ts";
import { aptInstall, mavenJars } from "./install.ts";
import { type FilledOptions, fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { waitUntil } from "./wait.ts";
import { freePort, portFrom } from "../ports.ts";
import { firstWay } from "./provision.ts";
import { runServer, type Service, type ServiceControl } from "./server-process.ts";
import { runCommand } from "./run-command.ts";
import { findProgram } from "./cache.ts";

export interface KafkaAddress {
  /** host:port of each broker. */
  readonly brokers: readonly string[];
}

const VERSION = "4.4.0";
const IMAGE = `apache/kafka:${VERSION}`;
/** Without an slf4j binding Kafka writes no log at all. */
const ARTIFACTS = [`org.apache.kafka:kafka_2.13:${VERSION}`, "org.slf4j:slf4j-simple:1.7.36"];
/** Seconds on a quiet machine; half a minute was seen where two programs were being built beside it. */
const STARTUP_MS = 120_000;
const JAVA = ["-Xmx512m", "-XX:+UseSerialGC"];

const probe = async (address: KafkaAddress): Promise<void> => {
  const admin = new Admin({
    clientId: "downbeat-probe",
    bootstrapBrokers: [...address.brokers],
    retries: 0,
    timeout: 5_000,
    connectTimeout: 5_000,
  });
  try {
    await admin.listTopics();
  } finally {
    await admin.close();
  }
};

/** One broker that is its own controller; everything that is copied elsewhere is kept once here. */
const brokerSettings = (host: string, port: number, controllerPort: number): Readonly<Record<string, string>> => ({
  "process.roles": "broker,controller",
  "node.id": "1",
  "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
  "controller.listener.names": "CONTROLLER",
  listeners: `PLAINTEXT://${host}:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
  "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
  "inter.broker.listener.name": "PLAINTEXT",
  "offsets.topic.replication.factor": "1",
  "offsets.topic.num.partitions": "1",
  "transaction.state.log.replication.factor": "1",
  "transaction.state.log.min.isr": "1",
  "transaction.state.log.num.partitions": "1",
  "share.coordinator.state.topic.replication.factor": "1",
  "share.coordinator.state.topic.min.isr": "1",
  "default.replication.factor": "1",
  "min.insync.replicas": "1",
  "num.partitions": "4",
  "group.initial.rebalance.delay.ms": "0",
  // A killed broker's registration stands in its own way until its session ends.
  "broker.session.timeout.ms": "3000",
  "broker.heartbeat.interval.ms": "500",
});

interface Programs {
  readonly java: string;
  readonly jars: string;
}

const java = (options: FilledOptions): string => {
  const found = findProgram("java", [], options.env);
  if (found === undefined) throw new Error("there is no java on the PATH");
  return found;
};

const JARS = `kafka-${VERSION}`;

const cached = (options: FilledOptions): Programs => {
  const jars = path.join(options.cacheDir, JARS);
  if (!existsSync(jars)) throw new Error("it is not in the cache");
  return { java: java(options), jars };
};

const fetched = async (options: FilledOptions): Promise<Programs> => ({
  java: java(options),
  jars: await mavenJars(JARS, ARTIFACTS, options),
});

const startNative = async (programs: Programs, dir: string, options: FilledOptions, port: number): Promise<ServiceControl> => {
  const { env } = options;
  const data = path.resolve(dir, "data");
  await mkdir(data, { recursive: true });
  const controllerPort = await freePort();
  const file = path.resolve(dir, "server.properties");
  const lines = Object.entries({ ...brokerSettings("127.0.0.1", port, controllerPort), "log.dirs": data });
  await writeFile(file, lines.map(([key, value]) => `${key}=${value}\n`).join(""));
  const base = [...JAVA, "-cp", path.join(programs.jars, "*")];
  if (!existsSync(path.join(data, "meta.properties"))) {
    // Given as one argument: an id may begin with "-".
    const clusterId = randomBytes(16).toString("base64url");
    await runCommand(programs.java, [...base, "kafka.tools.StorageTool", "format", `--cluster-id=${clusterId}`, "-c", file], {
      env,
      timeoutMs: 60_000,
    });
  }
  const address = { brokers: [`127.0.0.1:${port}`] };
  const args = [...base, "kafka.Kafka", file];
  return runServer({ name: "kafka", program: programs.java, args, env, folder: dir, startupMs: STARTUP_MS, probe: () => probe(address) });
};

/** Starts a Kafka broker, or takes the ones at DOWNBEAT_TEST_KAFKA (host:port,host:port). */
export const startKafka = async (options: ServiceOptions): Promise<Service<KafkaAddress>> => {
  const filled = fillOptions(options);
  const { dir, say, env } = filled;
  const given = env["DOWNBEAT_TEST_KAFKA"];
  if (given !== undefined && given !== "") {
    const address = { brokers: given.split(",").map((broker) => broker.trim()) };
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_KAFKA"));
    return withAddress(address, notOurs("Kafka"));
  }
  const packages = ["default-jre-headless", "maven"];
  const found = await firstWay<Programs | string>(
    "Kafka",
    [
      { name: `Docker image ${IMAGE}`, attempt: () => dockerImage(IMAGE, env, say) },
      { name: "cached Kafka", attempt: async () => cached(filled) },
      { name: "Maven", attempt: () => fetched(filled) },
      { name: `apt-get install ${packages.join(" ")}`, attempt: () => aptInstall(packages, filled).then(() => fetched(filled)) },
    ],
    say,
    "Install Java 17 and Maven, or Docker, or set DOWNBEAT_TEST_KAFKA to a broker's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = { brokers: [`127.0.0.1:${port}`] };
  if (typeof found === "string") {
    const entries = Object.entries(brokerSettings("0.0.0.0", port, port === 9093 ? 9094 : 9093));
    // The image takes each setting from a variable: KAFKA_, upper case, dots as underscores.
    const settings = Object.fromEntries(entries.map(([key, value]) => [`KAFKA_${key.toUpperCase().replaceAll(".", "_")}`, value]));
    const container = { docker: found, image: IMAGE, name: "kafka", settings, port, innerPort: port, args: [], env, folder: dir };
    return withAddress(address, await runContainer({ ...container, probe: () => probe(address) }));
  }
  return withAddress(address, await startNative(found, dir, filled, port));
};
