// The threads in which Temporal's SDK runs workflow code start without its promise stacks (decision 16).

import threads from "node:worker_threads";

const PRELOADED = new URL("workflow-thread-preload.ts", import.meta.url).href;

/**
 * Threads that start while `create` runs have no promise hooks. The SDK offers no option for it and starts its threads without any options, with Node's process-wide ones then:
 * flags of the process would do as well, but each way in which somebody starts a worker would have to know them.
 */
export const withoutPromiseStacks = async <Result>(create: () => Promise<Result>): Promise<Result> => {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options: threads.WorkerOptions = {}) {
      super(file, { ...options, execArgv: [...(options.execArgv ?? []), "--import", PRELOADED] });
    }
  };
  try {
    return await create();
  } finally {
    threads.Worker = Worker;
  }
};
