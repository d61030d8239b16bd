// What programs of `command` tasks get of this worker: little of its environment, and none of Downbeat's own secrets.

import type { CommandHost } from "../activities/command.ts";
import { DownbeatError } from "../core/errors.ts";
import { VARIABLES, type Config } from "./config.ts";
import { createSecretResolver } from "./secrets.ts";

const PASSED_ON = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"] as const;

const OWN: ReadonlySet<string> = new Set(VARIABLES.flatMap(({ name }) => [name, `${name}_FILE`]));

type Environment = Readonly<Record<string, string | undefined>>;

export const commandHost = (
  { commands, commandShell, images }: Pick<Config, "commands" | "commandShell" | "images">,
  env: Environment,
): CommandHost => {
  const resolveSecret = createSecretResolver(env);
  return {
    allowed: commands,
    images,
    shell: commandShell,
    environment: Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
    folder: process.cwd(),
    async resolveSecret(reference) {
      const { env: name } = reference;
      if (typeof name === "string" && OWN.has(name))
        throw new DownbeatError(
          "SECRET_UNRESOLVED",
          `${name} is Downbeat's own and is given to no program; keep the program's secret in another variable`,
        );
      return resolveSecret(reference);
    },
  };
};
