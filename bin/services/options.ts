// What every service takes, with the defaults filled in.
import { DownbeatError } from "../../core/errors.ts";
import { cacheDir } from "./cache.ts";
import type { Service, ServiceControl } from "./server-process.ts";
import type { Say } from "./say.ts";

export interface ServiceOptions {
  /** Folder of its data, log and credentials; a later start on the same folder finds its data again. */
  readonly dir: string;
  readonly say: Say;
  readonly env?: NodeJS.ProcessEnv;
  readonly cacheDir?: string;
  /** Preferred port; the next free one is taken when it is in use. */
  readonly port?: number;
}

export interface FilledOptions {
  readonly dir: string;
  readonly say: Say;
  readonly env: NodeJS.ProcessEnv;
  readonly cacheDir: string;
  readonly port: number | undefined;
}

export const fillOptions = (options: ServiceOptions): FilledOptions => {
  const env = options.env ?? process.env;
  return { dir: options.dir, say: options.say, env, cacheDir: options.cacheDir ?? cacheDir(env), port: options.port };
};

/** How long a server at an address of the user's may take to answer: it may still be starting beside us. */
export const GIVEN_MS = 10_000;

/** A service at an address of the user's is left alone. */
export const notOurs = (name: string): ServiceControl => {
  const refuse = async (): Promise<void> => {
    throw new Error(`${name} was given by its address: it is not this process's to halt or resume`);
  };
  return { pid: undefined, halt: refuse, resume: refuse, stop: async () => undefined };
};

/** Makes of a wait's failure an error that names the variable; the address itself may hold a password. */
export const refused =
  (variable: string) =>
  (error: unknown): never => {
    const why = error instanceof Error ? error.message : String(error);
    throw new DownbeatError(
      "SERVICE_MISSING",
      `The server that ${variable} names cannot be used: ${why}. Check the address, or unset it.`,
      { cause: error },
    );
  };

/** Adds the address; the control's own getters stay live. */
export const withAddress = <Address>(address: Address, control: ServiceControl): Service<Address> =>
  Object.defineProperties({ address }, Object.getOwnPropertyDescriptors(control)) as Service<Address>;
