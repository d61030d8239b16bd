// The http verb: one request to a connection, with a key that stays the same on every repetition.

import type { Json } from "../core/json.ts";
import { deliveryKey, workKey } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { roleOf } from "./connections.ts";
import { openFor, renderedConfig, type Verb, type VerbDeps } from "./verb.ts";

export interface HttpConfig {
  readonly connection: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export const createHttp = (deps: VerbDeps): Verb => {
  return async (call, context) => {
    const { connection, method = "GET", ...rest } = await renderedConfig<HttpConfig>(deps, call);
    await using opened = await openFor(deps, connection, context);
    const answer = await roleOf(opened, "http").call({
      ...rest,
      method,
      idempotencyKey: deliveryKey(call.run.origin, workKey(call.taskId, call.itemKey)),
    });
    // The request has been carried out: an answer too long to keep must not fail, and so repeat, it.
    const fits = JSON.stringify(answer).length <= LIMITS.largeOutputBytes;
    return { output: fits ? { status: answer.status, body: answer.body } : { status: answer.status, body: null, truncated: true } };
  };
};
