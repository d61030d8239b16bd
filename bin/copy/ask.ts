// Questions to the person at the terminal: a password without echo, yes or no.

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

/** Both throw when `signal` says stop; Ctrl-C while a question is open is the caller's signal, too. */
export interface Asking {
  password(prompt: string): Promise<string>;
  confirm(question: string): Promise<boolean>;
}

export interface AskingOptions {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
  readonly interrupt: () => void;
}

/** Undefined: nobody is there to answer. */
export const createAsking = ({ input, output, signal, interrupt }: AskingOptions): Asking | undefined => {
  if (!input.isTTY || !output.isTTY) return undefined;
  const ask = async (prompt: string, echo: NodeJS.WritableStream): Promise<string> => {
    const lines = createInterface({ input, output: echo, terminal: true });
    lines.on("SIGINT", interrupt);
    try {
      return await lines.question(prompt, { signal });
    } finally {
      lines.close();
    }
  };
  return {
    async password(prompt) {
      output.write(prompt);
      try {
        return await ask("", new Writable({ write: (_chunk, _encoding, done) => done() }));
      } finally {
        output.write("\n");
      }
    },
    confirm: async (question) => /^y(es)?$/i.test((await ask(`${question} [y/N] `, output)).trim()),
  };
};
