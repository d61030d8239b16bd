// What every service takes, with the defaults filled in.
import type { Env, Say } from "./command.ts";
import { cacheFolder } from "./provision.ts";

export interface ServiceOptions {
  /** Folder of its data, log and credentials; a later start on the same folder finds its data again. */
  readonly dir: string;
  readonly say: Say;
  readonly env?: Env;
  readonly cacheDir?: string;
  /** Preferred port; the next free one is taken when it is in use. */
  readonly port?: number;
}

export interface FilledOptions {
  readonly dir: string;
  readonly say: Say;
  readonly env: Env;
  readonly cacheDir: string;
  readonly port: number | undefined;
}

export const fillOptions = (options: ServiceOptions): FilledOptions => {
  const env = options.env ?? process.env;
  return { dir: options.dir, say: options.say, env, cacheDir: options.cacheDir ?? cacheFolder(env), port: options.port };
};

/** Server programs outside an ordinary user's PATH. */
export const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/** A service at an address of the user's is left alone. */
export const notOurs = (name: string): { pid: undefined; halt(): Promise<void>; resume(): Promise<void>; stop(): Promise<void> } => {
  const refuse = async (): Promise<void> => {
    throw new Error(`${name} was given by its address: it is not this process's to halt or resume`);
  };
  return { pid: undefined, halt: refuse, resume: refuse, stop: async () => undefined };
};
