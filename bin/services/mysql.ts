// MySQL protocol: an address given by the user, MySQL as a container, or MariaDB as a process.
import { existsSync } from "node:fs";
import { chown, writeFile } from "node:fs/promises";
import path from "node:path";
import { createConnection } from "mysql2/promise";
import { dockerImage, runContainer } from "./docker.ts";
import { dataFolder, folderSecret, systemUser } from "./folders.ts";
import { aptInstall } from "./install.ts";
import { type FilledOptions, fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { waitUntil } from "./wait.ts";
import { freePort, portFrom } from "../ports.ts";
import { firstWay } from "./provision.ts";
import { runServer, type Service, type ServiceControl } from "./server-process.ts";
import { runCommand } from "./run-command.ts";
import { findProgram, SYSTEM_FOLDERS } from "./cache.ts";

export interface MysqlAddress {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface MysqlOptions extends ServiceOptions {
  /** The binary log, for change data capture; benches leave it out. Default true. */
  readonly binlog?: boolean;
  /** Further server settings by their option name, e.g. {"innodb-buffer-pool-size": "2560M"}. */
  readonly settings?: Readonly<Record<string, string>>;
}

const IMAGE = "mysql:8.4";

const mysqlAddress = (host: string, port: number, user: string, password: string): MysqlAddress => ({
  url: `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}`,
  host,
  port,
  user,
  password,
});

const probe = async (address: MysqlAddress): Promise<void> => {
  const { host, port, user, password } = address;
  const connection = await createConnection({ host, port, user, password, connectTimeout: 5_000 });
  try {
    await connection.query("select 1");
  } finally {
    connection.destroy();
  }
};

const flags = (options: MysqlOptions): readonly string[] => {
  const binlog = options.binlog ?? true;
  const settings: Record<string, string> = {
    "max-allowed-packet": "256M",
    "local-infile": "1",
    "character-set-server": "utf8mb4",
    "skip-name-resolve": "ON",
    "innodb-buffer-pool-size": "256M",
    ...(binlog ? { "server-id": "1", "binlog-format": "ROW", "binlog-row-image": "FULL", "binlog-row-metadata": "FULL" } : {}),
    ...options.settings,
  };
  return [binlog ? "--log-bin=binlog" : "--skip-log-bin", ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)];
};

interface Programs {
  readonly server: string;
  readonly installer: string;
}

const installed = (options: FilledOptions): Programs => {
  const find = (name: string): string | undefined => findProgram(name, SYSTEM_FOLDERS, options.env);
  const server = find("mariadbd");
  const installer = find("mariadb-install-db");
  if (server === undefined || installer === undefined) throw new Error("there is no mariadbd with mariadb-install-db");
  return { server, installer };
};

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

const startNative = async (programs: Programs, options: MysqlOptions, address: MysqlAddress): Promise<ServiceControl> => {
  const { dir, env } = fillOptions(options);
  const user = await systemUser("mysql");
  const data = await dataFolder(dir, "data", user);
  // A server that starts removes what others have left in its folder for temporary tables.
  const temporary = await dataFolder(dir, "tmp", user);
  if (!existsSync(path.join(data, "mysql"))) {
    const args = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=socket", "--skip-test-db"];
    await runCommand(programs.installer, args, { env, cwd: data, timeoutMs: 120_000, ...user });
  }
  // Users come from a file that only the server's user can read: a password on the command line is everybody's.
  const initFile = path.join(data, "init.sql");
  const name = `${quoted(address.user)}@'%'`;
  const create = `CREATE USER IF NOT EXISTS ${name} IDENTIFIED BY ${quoted(address.password)};`;
  await writeFile(initFile, `${create}\nGRANT ALL ON *.* TO ${name} WITH GRANT OPTION;\n`, { mode: 0o600 });
  if (user !== undefined) await chown(initFile, user.uid, user.gid);
  // A socket's path may have 107 bytes at most; a relative one is taken from the data folder.
  const fixed = [
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    "--bind-address=127.0.0.1",
    `--port=${address.port}`,
    "--socket=server.sock",
    `--init-file=${initFile}`,
  ];
  return runServer({
    name: "mysql",
    program: programs.server,
    args: ["--no-defaults", ...fixed, ...flags(options)],
    env,
    folder: dir,
    probe: () => probe(address),
    ...user,
  });
};

const givenAddress = (text: string): MysqlAddress => {
  const url = new URL(text);
  const port = Number(url.port === "" ? 3306 : url.port);
  return mysqlAddress(url.hostname, port, decodeURIComponent(url.username), decodeURIComponent(url.password));
};

/** Starts a MySQL-compatible server, or takes the one at DOWNBEAT_TEST_MYSQL_URL (mysql://user:password@host:port). */
export const startMysql = async (options: MysqlOptions): Promise<Service<MysqlAddress>> => {
  const filled = fillOptions(options);
  const { dir, say, env } = filled;
  const given = env["DOWNBEAT_TEST_MYSQL_URL"];
  if (given !== undefined && given !== "") {
    const address = givenAddress(given);
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_MYSQL_URL"));
    return withAddress(address, notOurs("MySQL"));
  }
  const found = await firstWay<Programs | string>(
    "MySQL",
    [
      { name: `Docker image ${IMAGE}`, attempt: () => dockerImage(IMAGE, env, say) },
      { name: "installed MariaDB", attempt: async () => installed(filled) },
      { name: "apt-get install mariadb-server", attempt: () => aptInstall(["mariadb-server"], filled).then(() => installed(filled)) },
    ],
    say,
    "Install MariaDB or Docker, or set DOWNBEAT_TEST_MYSQL_URL to a server's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const password = await folderSecret(dir, "mysql");
  if (typeof found === "string") {
    const address = mysqlAddress("127.0.0.1", port, "root", password);
    const settings = { MYSQL_ROOT_PASSWORD: password, MYSQL_ROOT_HOST: "%" };
    const container = {
      docker: found,
      image: IMAGE,
      name: "mysql",
      settings,
      port,
      innerPort: 3306,
      args: flags(options),
      env,
      folder: dir,
    };
    return withAddress(address, await runContainer({ ...container, probe: () => probe(address) }));
  }
  const address = mysqlAddress("127.0.0.1", port, "downbeat", password);
  return withAddress(address, await startNative(found, options, address));
};
