// PostgreSQL: an address given by the user, a container, or a process of the system's own packages.
import { existsSync, readdirSync } from "node:fs";
import { chown, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import { dockerImage, runContainer } from "./docker.ts";
import { dataFolder, folderSecret, systemUser } from "./folders.ts";
import { aptInstall } from "./install.ts";
import { type FilledOptions, fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { waitUntil } from "./wait.ts";
import { freePort, portFrom } from "../ports.ts";
import { firstWay } from "./provision.ts";
import { runServer, type Service, type ServiceControl } from "./server-process.ts";
import { runCommand } from "./run-command.ts";
import { findProgram } from "./cache.ts";

export interface PostgresAddress {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface PostgresOptions extends ServiceOptions {
  /** Further server settings, e.g. {shared_buffers: "2GB"}. */
  readonly settings?: Readonly<Record<string, string>>;
}

const IMAGE = "postgres:17";
const LIBRARIES = "/usr/lib/postgresql";

const postgresAddress = (host: string, port: number, user: string, password: string, database: string): PostgresAddress => ({
  url: `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`,
  host,
  port,
  user,
  password,
  database,
});

const probe = async (address: PostgresAddress): Promise<void> => {
  const client = new pg.Client({ connectionString: address.url, connectionTimeoutMillis: 5_000 });
  // A server that ends just now says so in an event of its own.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
  } finally {
    await client.end().catch(() => undefined);
  }
};

const flags = (options: PostgresOptions): readonly string[] => {
  const settings = { wal_level: "logical", max_connections: "200", shared_buffers: "128MB", ...options.settings };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
};

interface Programs {
  readonly server: string;
  readonly initdb: string;
}

/** Debian keeps each version's programs in a folder of its own, outside the PATH; the newest wins. */
const debianFolders = (): readonly string[] =>
  existsSync(LIBRARIES)
    ? readdirSync(LIBRARIES)
        .toSorted((left, right) => Number(right) - Number(left))
        .map((version) => path.join(LIBRARIES, version, "bin"))
    : [];

const installed = (options: FilledOptions): Programs => {
  const folders = [...debianFolders(), "/usr/local/bin", "/opt/homebrew/bin"];
  const server = findProgram("postgres", folders, options.env);
  const initdb = findProgram("initdb", folders, options.env);
  if (server === undefined || initdb === undefined) throw new Error("there is no postgres with initdb");
  return { server, initdb };
};

const startNative = async (programs: Programs, options: PostgresOptions, address: PostgresAddress): Promise<ServiceControl> => {
  const { dir, env } = fillOptions(options);
  const user = await systemUser("postgres");
  const data = await dataFolder(dir, "data", user);
  if (!existsSync(path.join(data, "PG_VERSION"))) {
    const home = await dataFolder(dir, "init", user);
    const passwordFile = path.join(home, "password");
    await writeFile(passwordFile, address.password, { mode: 0o600 });
    if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
    const args = ["-D", data, "-U", address.user, "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--locale=C.UTF-8"];
    await runCommand(programs.initdb, args, { env, cwd: data, timeoutMs: 120_000, ...user });
    await rm(home, { recursive: true, force: true });
  }
  const fixed = ["-D", data, "-p", String(address.port), "-h", "127.0.0.1", "-c", "unix_socket_directories="];
  return runServer({
    name: "postgres",
    program: programs.server,
    args: [...fixed, ...flags(options)],
    env,
    folder: dir,
    probe: () => probe(address),
    stopSignal: "SIGINT",
    ...user,
  });
};

const givenAddress = (text: string): PostgresAddress => {
  const url = new URL(text);
  const port = Number(url.port === "" ? 5432 : url.port);
  const database = decodeURIComponent(url.pathname.slice(1)) || "postgres";
  return postgresAddress(url.hostname, port, decodeURIComponent(url.username), decodeURIComponent(url.password), database);
};

/** Starts a PostgreSQL, or takes the one at DOWNBEAT_TEST_POSTGRES_URL (postgres://user:password@host:port/database). */
export const startPostgres = async (options: PostgresOptions): Promise<Service<PostgresAddress>> => {
  const filled = fillOptions(options);
  const { dir, say, env } = filled;
  const given = env["DOWNBEAT_TEST_POSTGRES_URL"];
  if (given !== undefined && given !== "") {
    const address = givenAddress(given);
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_POSTGRES_URL"));
    return withAddress(address, notOurs("PostgreSQL"));
  }
  const found = await firstWay<Programs | string>(
    "PostgreSQL",
    [
      { name: `Docker image ${IMAGE}`, attempt: () => dockerImage(IMAGE, env, say) },
      { name: "installed PostgreSQL", attempt: async () => installed(filled) },
      { name: "apt-get install postgresql", attempt: () => aptInstall(["postgresql"], filled).then(() => installed(filled)) },
    ],
    say,
    "Install PostgreSQL or Docker, or set DOWNBEAT_TEST_POSTGRES_URL to a server's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = postgresAddress("127.0.0.1", port, "downbeat", await folderSecret(dir, "postgres"), "postgres");
  if (typeof found === "string") {
    const settings = { POSTGRES_USER: address.user, POSTGRES_PASSWORD: address.password, POSTGRES_DB: address.database };
    const container = {
      docker: found,
      image: IMAGE,
      name: "postgres",
      settings,
      port,
      innerPort: 5432,
      args: flags(options),
      env,
      folder: dir,
    };
    return withAddress(address, await runContainer({ ...container, probe: () => probe(address) }));
  }
  return withAddress(address, await startNative(found, options, address));
};
