// A schema registry for tests, with Confluent's API: an address given by the user, or Apicurio Registry as a Java process. It keeps schemas in memory.
import { existsSync } from "node:fs";
import path from "node:path";
import { findProgram } from "./cache.ts";
import { aptInstall, mavenArchive } from "./install.ts";
import { type FilledOptions, fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { freePort, portFrom } from "../ports.ts";
import { firstWay } from "./provision.ts";
import { runServer, type Service } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

export interface SchemaRegistryAddress {
  /** Under which /schemas/ids is. */
  readonly url: string;
}

/** Runs on Java 17, as Kafka does; 3.3.3 wants a newer one. */
const VERSION = "3.0.9";
const FOLDER = `apicurio-registry-${VERSION}`;
const ARCHIVE = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
const STARTUP_MS = 120_000;
const JAVA = ["-Xmx512m", "-XX:+UseSerialGC"];

const probe = async ({ url }: SchemaRegistryAddress): Promise<void> => {
  const response = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`it answers ${response.status}`);
};

const programsIn = (folder: string, { env }: FilledOptions): { readonly java: string; readonly jar: string } => {
  const java = findProgram("java", [], env);
  if (java === undefined) throw new Error("there is no java on the PATH");
  const jar = path.join(folder, `apicurio-registry-app-${VERSION}-runner.jar`);
  if (!existsSync(jar)) throw new Error(`there is no ${jar}`);
  return { java, jar };
};

/** Starts a registry, or takes the one at DOWNBEAT_TEST_SCHEMA_REGISTRY (http://host:port). */
export const startSchemaRegistry = async (options: ServiceOptions): Promise<Service<SchemaRegistryAddress>> => {
  const filled = fillOptions(options);
  const { dir, say, env, cacheDir } = filled;
  const given = env["DOWNBEAT_TEST_SCHEMA_REGISTRY"];
  if (given !== undefined && given !== "") {
    const address = { url: given };
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_SCHEMA_REGISTRY"));
    return withAddress(address, notOurs("The schema registry"));
  }
  const packages = ["default-jre-headless", "maven"];
  const fetched = async () => programsIn(await mavenArchive(FOLDER, ARCHIVE, filled), filled);
  const { java, jar } = await firstWay(
    "The schema registry",
    [
      { name: "cached Apicurio Registry", attempt: async () => programsIn(path.join(cacheDir, FOLDER), filled) },
      { name: "Maven", attempt: fetched },
      { name: `apt-get install ${packages.join(" ")}`, attempt: () => aptInstall(packages, filled).then(fetched) },
    ],
    say,
    "Install Java 17 and Maven, or set DOWNBEAT_TEST_SCHEMA_REGISTRY to a registry's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = { url: `http://127.0.0.1:${port}/apis/ccompat/v7` };
  const server = {
    name: "schema-registry",
    program: java,
    args: [...JAVA, "-jar", jar],
    env: { ...env, QUARKUS_HTTP_HOST: "127.0.0.1", QUARKUS_HTTP_PORT: String(port) },
    folder: dir,
    startupMs: STARTUP_MS,
  };
  return withAddress(address, await runServer({ ...server, probe: () => probe(address) }));
};
