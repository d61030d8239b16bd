// Data folders and credentials of services: a folder a system user may own, and one random password a folder.
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** The system user that a server runs as when we are root; undefined when we are not: it runs as we do. */
export const systemUser = async (name: string): Promise<SystemUser | undefined> => {
  if (process.getuid?.() !== 0) return undefined;
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no system user ${name}, and the server refuses to run as root`);
  return { uid: Number(uid), gid: Number(gid) };
};

/** Makes `dir/name` for the user, who must be able to reach it through every folder above. */
export const dataFolder = async (dir: string, name: string, user: SystemUser | undefined): Promise<string> => {
  const folder = path.resolve(dir, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user === undefined) return folder;
  await chown(folder, user.uid, user.gid);
  const given = path.resolve(dir);
  const temporary = await realpath(tmpdir());
  for (let above = given; above !== path.dirname(above); above = path.dirname(above)) {
    const { mode } = await stat(above);
    if ((mode & 0o001) !== 0) continue;
    // The given folder and temporary ones are opened for passing through; listing them stays forbidden. Others are the user's to open.
    if (above !== given && !(await realpath(above)).startsWith(`${temporary}${path.sep}`)) {
      throw new Error(
        `system user ${user.uid} cannot pass through ${above} to ${folder}: choose a folder that others can pass, e.g. under /tmp`,
      );
    }
    await chmod(above, mode | 0o111);
  }
  return folder;
};

/** The folder's own random secret, made at its first use and kept, so that a restart on the folder has the same one. */
export const folderSecret = async (dir: string, name: string): Promise<string> => {
  const file = path.join(dir, `${name}.secret`);
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const secret = randomBytes(18).toString("hex");
  await mkdir(dir, { recursive: true });
  await writeFile(file, secret, { mode: 0o600 });
  return secret;
};
