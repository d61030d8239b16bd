// So many at a time for each key: the others wait for their turn, first come first served, and not for long.

import { DownbeatError } from "../core/errors.ts";

export interface TurnsOptions {
  readonly atOnce: number;
  readonly patienceMs: number;
}

export type Turns = <Answer>(key: string, work: () => Promise<Answer>) => Promise<Answer>;

/** Throws RATE_LIMITED, with nothing done, when no turn came in time. */
export const createTurns = ({ atOnce, patienceMs }: TurnsOptions): Turns => {
  const lines = new Map<string, { busy: number; readonly waiting: Set<() => void> }>();
  return async (key, work) => {
    const line = lines.get(key) ?? { busy: 0, waiting: new Set() };
    lines.set(key, line);
    if (line.busy < atOnce) line.busy += 1;
    else {
      await new Promise<void>((resolve, reject) => {
        const go = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          line.waiting.delete(go);
          const message = `${atOnce} requests of this kind are at work and ${line.waiting.size} others wait for their turn`;
          reject(new DownbeatError("RATE_LIMITED", message, { retryAfterMs: patienceMs }));
        }, patienceMs);
        line.waiting.add(go);
      });
    }
    try {
      return await work();
    } finally {
      // A turn goes from one to the next: nobody comes between.
      const [next] = line.waiting;
      if (next !== undefined) {
        line.waiting.delete(next);
        next();
      } else {
        line.busy -= 1;
        if (line.busy === 0) lines.delete(key);
      }
    }
  };
};
