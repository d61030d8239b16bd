// S3: an address given by the user, or versitygw as a container or a process, over a plain folder.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { dockerImage, runContainer } from "./docker.ts";
import { folderSecret } from "./folders.ts";
import { goInstall } from "./install.ts";
import { fillOptions, GIVEN_MS, notOurs, refused, type ServiceOptions, withAddress } from "./options.ts";
import { waitUntil } from "./wait.ts";
import { freePort, portFrom } from "../ports.ts";
import { firstWay } from "./provision.ts";
import { runServer, type Service } from "./server-process.ts";
import { findProgram } from "./cache.ts";

export interface S3Address {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const IMAGE = "versity/versitygw:v1.8.0";
const MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const REGION = "us-east-1";

const probe = async (address: S3Address): Promise<void> => {
  const { endpoint, region, accessKeyId, secretAccessKey } = address;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials, maxAttempts: 1 });
  try {
    await client.send(new ListBucketsCommand(), { abortSignal: AbortSignal.timeout(5_000) });
  } finally {
    client.destroy();
  }
};

const givenAddress = (text: string): S3Address => {
  const url = new URL(text);
  return {
    endpoint: `${url.protocol}//${url.host}`,
    region: url.searchParams.get("region") ?? REGION,
    accessKeyId: decodeURIComponent(url.username),
    secretAccessKey: decodeURIComponent(url.password),
  };
};

/** Starts an S3 server, or takes the one at DOWNBEAT_TEST_S3 (http://key:secret@host:port?region=…). */
export const startS3 = async (options: ServiceOptions): Promise<Service<S3Address>> => {
  const filled = fillOptions(options);
  const { dir, say, env, cacheDir } = filled;
  const given = env["DOWNBEAT_TEST_S3"];
  if (given !== undefined && given !== "") {
    const address = givenAddress(given);
    await waitUntil(() => probe(address), { timeoutMs: GIVEN_MS }).catch(refused("DOWNBEAT_TEST_S3"));
    return withAddress(address, notOurs("S3"));
  }
  const installed = async (): Promise<string> => {
    const program = findProgram("versitygw", [path.join(cacheDir, "bin")], env);
    if (program === undefined) throw new Error("there is no versitygw on the PATH or in the cache");
    return program;
  };
  const found = await firstWay<{ readonly docker: string } | { readonly program: string }>(
    "S3",
    [
      { name: `Docker image ${IMAGE}`, attempt: async () => ({ docker: await dockerImage(IMAGE, env, say) }) },
      { name: "installed versitygw", attempt: async () => ({ program: await installed() }) },
      { name: "go install versitygw", attempt: async () => ({ program: await goInstall(MODULE, filled) }) },
    ],
    say,
    "Install Go (https://go.dev/dl), versitygw or Docker, or set DOWNBEAT_TEST_S3 to a server's address.",
  );
  const port = filled.port === undefined ? await freePort() : await portFrom(filled.port);
  const address = {
    endpoint: `http://127.0.0.1:${port}`,
    region: REGION,
    accessKeyId: "downbeat",
    secretAccessKey: await folderSecret(dir, "s3"),
  };
  const settings = { ROOT_ACCESS_KEY: address.accessKeyId, ROOT_SECRET_KEY: address.secretAccessKey };
  if ("docker" in found) {
    const args = ["--port", ":7070", "--region", REGION, "posix", "--sidecar", "/tmp/meta", "/tmp/data"];
    // The image has no shell to make folders with; volumes do.
    const volumes = ["/tmp/meta", "/tmp/data"];
    const container = { ...found, image: IMAGE, name: "s3", settings, port, innerPort: 7070, args, volumes, env, folder: dir };
    return withAddress(address, await runContainer({ ...container, probe: () => probe(address) }));
  }
  const [data, meta] = [path.resolve(dir, "data"), path.resolve(dir, "meta")];
  await mkdir(data, { recursive: true });
  await mkdir(meta, { recursive: true });
  const args = ["--port", `127.0.0.1:${port}`, "--region", REGION, "--quiet", "posix", "--sidecar", meta, data];
  const server = { name: "s3", program: found.program, args, env: { ...env, ...settings }, folder: dir };
  return withAddress(address, await runServer({ ...server, probe: () => probe(address) }));
};
