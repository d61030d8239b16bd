// Keeps what versions bring by name equal in store and Temporal, in both directions: what was deleted, changed or left over there is put right.

import { isSystemFault } from "../core/errors.ts";
import type { ApiDeps } from "./deps.ts";

const PAGE = 200;

interface Ref {
  readonly pipeline: string;
  readonly name: string;
}

export interface Named<Row extends Ref> {
  /** In words: "schedule". */
  readonly kind: string;
  /** In Temporal. */
  readonly idOf: (ref: Ref) => string;
  readonly inStore: {
    find(ref: Ref): Promise<Row | undefined>;
    list(filter: { readonly pipeline?: string; readonly limit: number; readonly after?: Ref }): Promise<readonly Row[]>;
  };
  readonly inTemporal: {
    ensure(row: Row): Promise<string>;
    /** Answers whether it was there. */
    remove(ref: Ref): Promise<boolean>;
    list(): Promise<readonly Ref[]>;
  };
  readonly log: ApiDeps["log"];
}

/** All of the store, or of one pipeline. */
export async function* allOf<Row extends Ref>({ inStore }: Pick<Named<Row>, "inStore">, pipeline?: string): AsyncGenerator<Row> {
  for (let after: Ref | undefined; ; ) {
    const page = await inStore.list({
      limit: PAGE,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(after === undefined ? {} : { after }),
    });
    yield* page;
    after = page.at(-1);
    if (page.length < PAGE || after === undefined) return;
  }
}

/** One that cannot be put right must not keep the others waiting; a service that is away ends the round. */
const safely = async <Row extends Ref>({ kind, idOf, log }: Named<Row>, ref: Ref, work: () => Promise<boolean>): Promise<boolean> => {
  try {
    return await work();
  } catch (error) {
    if (isSystemFault(error)) throw error;
    log.error({ err: error, [kind]: idOf(ref) }, `a ${kind} could not be put right`);
    return false;
  }
};

const ensure = <Row extends Ref>(named: Named<Row>, row: Row): Promise<boolean> =>
  safely(named, row, async () => {
    const done = await named.inTemporal.ensure(row);
    if (done !== "kept") named.log.info({ [named.kind]: named.idOf(row), done }, `made a ${named.kind} in Temporal as the store says`);
    return done !== "kept";
  });

const remove = <Row extends Ref>(named: Named<Row>, ref: Ref): Promise<boolean> =>
  safely(named, ref, async () => {
    // Asked once more: it may have been deployed since the list was made.
    if ((await named.inStore.find(ref)) !== undefined) return false;
    const wasThere = await named.inTemporal.remove(ref);
    if (wasThere) named.log.info({ [named.kind]: named.idOf(ref) }, `removed a ${named.kind} from Temporal that the store does not have`);
    return wasThere;
  });

/** One round over all; answers how many it put right. Any number of processes may do this at once. */
export const reconcileNamed = async <Row extends Ref>(named: Named<Row>): Promise<number> => {
  const found = await named.inTemporal.list();
  const known = new Set<string>();
  let repaired = 0;
  for await (const row of allOf(named)) {
    known.add(named.idOf(row));
    if (await ensure(named, row)) repaired += 1;
  }
  for (const ref of found) if (!known.has(named.idOf(ref)) && (await remove(named, ref))) repaired += 1;
  return repaired;
};

/** The same for one pipeline, right after it was deployed. `dropped`: names that its version before had. Leaves to the next round what cannot be done now. */
export const applyNamed = async <Row extends Ref>(named: Named<Row>, pipeline: string, dropped: readonly string[]): Promise<void> => {
  try {
    for await (const row of allOf(named, pipeline)) await ensure(named, row);
    for (const name of dropped) await remove(named, { pipeline, name });
  } catch (error) {
    named.log.warn({ err: error, pipeline }, `${named.kind}s are not in Temporal yet; it is tried again`);
  }
};
